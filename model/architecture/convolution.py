"""Causal convolution over time, one filter for each feature; and the mixer that is made of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext


class CausalConvolution(nn.Module):
    """Depthwise convolution of each token with those before it in its document; earlier ones come from the cache.

    Args:
        features: Channels, each with its own filter.
        width: Tokens that a filter spans, its own included.
        bias: Whether each channel has a bias.
        name: Under which the cache keeps the last inputs; unique in a model.
    """

    def __init__(self, features: int, width: int, *, bias: bool, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, width))
        self.bias = nn.Parameter(torch.zeros(features)) if bias else None
        self.name = name

    def forward(self, x_BTC: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, features), same shape out."""
        batch, time, features = x_BTC.shape
        width, weight = self.weight.shape[1], self.weight.to(x_BTC.dtype)
        held = context.cache.recall(self.name) if context.cache is not None else None
        earlier = held[0] if held is not None else x_BTC.new_zeros(batch, width - 1, features)
        inputs = torch.cat([earlier, x_BTC], dim=1)
        if context.cache is not None:
            context.cache.remember(self.name, (inputs[:, time:],))
        positions = context.new_positions(time)[..., None]
        y_BTC = x_BTC * weight[:, -1]
        for back in range(1, width):
            # a token has as many predecessors as its position says: no look into padding or another document
            shifted = torch.where(positions >= back, inputs[:, width - 1 - back : width - 1 - back + time], 0)
            y_BTC = torch.addcmul(y_BTC, shifted, weight[:, -1 - back])
        return y_BTC if self.bias is None else y_BTC + self.bias.to(y_BTC.dtype)


class ConvolutionMixer(nn.Module):
    """Gated short convolution in place of attention: `out(c * conv(b * x))`, with b, c, x made from the input.

    The double gate is H3's (Fu et al. 2023, arXiv:2212.14052, figure 1), the short filter alone is LFM2's (Liquid AI
    2025): no state but the last few tokens.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.inner = Linear(config.d_model, 3 * config.d_model)
        self.convolution = CausalConvolution(
            config.d_model, config.recurrent.convolution, bias=False, name=f"{layer}.convolution"
        )
        self.out = Linear(config.d_model, config.d_model)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        before, after, value = self.inner(x_BTD).chunk(3, dim=-1)
        y_BTD: Tensor = self.out(after * self.convolution(before * value, context))
        return y_BTD
