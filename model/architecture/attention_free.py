"""Attention-free mixing: each feature averages its own past by weights that depend on the keys alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext
from model.architecture.scan import linear_scan, running_maximum


class AttentionFree(nn.Module):
    """AFT-simple (Zhai et al. 2021, "An Attention Free Transformer", arXiv:2105.14103, section 3.3), causal.

    `y[t] = sigmoid(q[t]) * sum(exp(k[s]) v[s], s <= t) / sum(exp(k[s]), s <= t)`, feature by feature, in linear time
    and with a state of three numbers a feature. Unlike in the paper the sums are kept relative to the largest key so
    far, so that no key overflows.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.qkv = Linear(config.d_model, 3 * config.d_model)
        self.out = Linear(config.d_model, config.d_model)
        self.name = f"{layer}.attention_free"

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        q, k, v = self.qkv(x_BTD).chunk(3, dim=-1)
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        k, v = k.to(exact), v.to(exact)
        held = context.cache.recall(self.name) if context.cache is not None else None
        empty = torch.zeros_like(k[:, 0])
        start_maximum, start = held if held is not None else (empty - torch.inf, torch.stack([empty, empty], dim=-1))
        positions = context.new_positions(k.shape[1])
        maximum = running_maximum(k, positions, start_maximum)
        weight = torch.exp(k - maximum)
        decay = torch.exp(torch.cat([start_maximum[:, None], maximum[:, :-1]], dim=1) - maximum)
        decay = torch.where(positions[..., None] == 0, 0.0, decay)
        sums = torch.stack([weight * v, weight], dim=-1)
        sums = linear_scan(decay[..., None].expand_as(sums), sums, start)
        if context.cache is not None:
            context.cache.remember(self.name, (maximum[:, -1], sums[:, -1]))
        mean = sums[..., 0] / sums[..., 1]
        y_BTD: Tensor = self.out(torch.sigmoid(q) * mean.to(x_BTD.dtype))
        return y_BTD
