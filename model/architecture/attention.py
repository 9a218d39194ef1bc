"""Causal self-attention with grouped key/value heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.architecture.attend import attend
from model.architecture.config import ModelConfig
from model.architecture.config.sizes import kv_heads
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext, Sight, look_of
from model.architecture.norm import QK_NORMS, QUERY_NORMS, NoNorm
from model.architecture.plain_parts import is_unwatched
from model.architecture.position import TURNS
from model.architecture.shared_keys import keys_for
from model.kernels.heads import split_heads
from model.kernels.library import takes


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245); one key/value head is multi-query.

    Queries, keys and values come from one matrix product; `interop/` splits it for the published layouts. A layer that
    looks at another's keys and values has no heads of its own for them (shared_keys.py). What a layer sees is its
    *look* (masks.py), the arithmetic is `attend`.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        options = config.attention
        self.n_heads, self.n_kv_heads, self.head_size = config.n_heads, kv_heads(config, layer), config.head_size
        self.keys = keys_for(config, layer)
        self.dropout, self.softcap = config.dropout, options.softcap
        self.look = look_of(config, layer)
        self.turn = TURNS[config.positions(layer)]
        n_in, n_out = (self.n_heads + 2 * self.n_kv_heads) * self.head_size, self.n_heads * self.head_size
        self.qkv = Linear(config.d_model, n_in, bias=options.bias != "none")
        self.rotary = config.positions(layer) == "rope"
        self.qk_norm = (QK_NORMS if self.n_kv_heads else QUERY_NORMS)[config.norm.qk](config)
        self.scale_queries = _query_scaling(config)
        self.gate = GATES[options.gate](config)
        self.out = Linear(n_out, config.d_model, bias=options.bias == "all")

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        batch, time, _ = x_BTD.shape
        q, k, v = self._projected(x_BTD, context)
        k, v = self.keys(k, v, context)
        q = self.scale_queries(q)
        sight = Sight(self.look, context, time)
        y = attend(q, k, v, sight, training=self.training, dropout=self.dropout, softcap=self.softcap)
        y_BTD: Tensor = self.out(self.gate(y.transpose(1, 2).reshape(batch, time, -1), x_BTD))
        return y_BTD

    def keep(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Put keys and values into the cache, nothing more; a layer without its own keeps none."""
        if context.cache is not None and self.n_kv_heads:
            self.keys(*self._projected(x_BTD, context)[1:], context)

    def _projected(self, x_BTD: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, its own heads, time, head_size), in their positions."""
        qkv = self.qkv(x_BTD)
        if type(self.qk_norm) is NoNorm and is_unwatched(self.qk_norm) and takes(qkv, context.cos):
            return split_heads(qkv, self.n_heads, self.n_kv_heads, *(context.cos, context.sin) if self.rotary else ())
        qkv = qkv.view(*x_BTD.shape[:2], -1, self.head_size).transpose(1, 2)
        # queries and keys turn by the same angles: one rotation for both
        qk, v = qkv.split([self.n_heads + self.n_kv_heads, self.n_kv_heads], dim=1)
        qk = self.turn(self.qk_norm(qk), context.cos, context.sin)
        q, k = qk.split([self.n_heads, self.n_kv_heads], dim=1)
        return q, k, v


class Scale(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, same shape and dtype."""
        return x * self.factor


def unscaled(q: Tensor) -> Tensor:
    """Queries as they are."""
    return q


def _query_scaling(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """What queries are multiplied by, so that scores have `attention.scale` in place of 1 / sqrt(head size).

    muP (Yang et al. 2022, arXiv:2203.03466, definition 4.1) divides scores by the head size, matched at the base.
    """
    scale = config.attention.scale
    if scale is None and config.initialization.kind == "mup":
        scale = config.initialization.base.head_size**0.5 / config.head_size
    return unscaled if scale is None else Scale(scale * config.head_size**0.5)


def ungated(y: Tensor, x_BTD: Tensor) -> Tensor:
    """Attention's result as it is."""
    del x_BTD
    return y


class SigmoidGate(nn.Module):
    """Attention's result times a sigmoid of the layer's input (Qiu et al. 2025, arXiv:2505.06708, gate G1).

    One gate for each feature of the heads, or, with `repeats`, one for each head.
    """

    def __init__(self, config: ModelConfig, repeats: int) -> None:
        super().__init__()
        self.repeats = repeats
        self.weights = Linear(config.d_model, config.n_heads * config.head_size // repeats)

    def forward(self, y: Tensor, x_BTD: Tensor) -> Tensor:
        """(batch, time, heads * head_size), (batch, time, d_model) -> as the first."""
        return y * torch.sigmoid(self.weights(x_BTD)).repeat_interleave(self.repeats, dim=-1)


GATES: dict[str, Callable[[ModelConfig], Callable[[Tensor, Tensor], Tensor]]] = {
    "none": lambda _: ungated,
    "head": lambda config: SigmoidGate(config, repeats=config.head_size),
    "feature": lambda config: SigmoidGate(config, repeats=1),
}
