"""Causal self-attention with grouped key/value heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.linear import Linear
from model.architecture.position import rotate
from model.architecture.short_attention import LONGEST, short_causal_attention


class KeyValueCache(Protocol):
    """What attention asks of a cache; `model/generation/cache.py` has the implementations."""

    @property
    def length(self) -> int:
        """Tokens held for every sequence of the batch, padding included."""
        ...

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (batch, kv_heads, new, head_size) of a layer; return all that are held, new ones too."""
        ...

    def advance(self, n: int) -> None:
        """Called once after all layers have added their `n` new tokens."""
        ...


@dataclass(frozen=True)
class AttentionContext:
    """What all layers of one forward pass share.

    Attributes:
        cos: Rotary cosines, broadcastable to (batch, heads, time, head_size).
        sin: Rotary sines.
        mask: None for plain causal attention, else (batch or 1, 1, time, all) bool, True = may look.
        cache: Keys and values of earlier tokens, or None.
        borders: (batch, 1, time, time) in the stream's dtype, 0 where a token may look within its own document and
            -inf elsewhere; None where a sequence is one text. It stands in for the mask.
    """

    cos: Tensor
    sin: Tensor
    mask: Tensor | None
    cache: KeyValueCache | None
    borders: Tensor | None = None


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) by `scaled_dot_product_attention`.

    Queries, keys and values come from one matrix product; `interop.py` splits it for the published layout.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.n_kv_heads, self.head_size = config.n_heads, config.n_kv_heads, config.head_size
        self.dropout = config.dropout
        self.qkv = Linear(config.d_model, (self.n_heads + 2 * self.n_kv_heads) * self.head_size)
        self.out = Linear(self.n_heads * self.head_size, config.d_model)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        batch, time, _ = x_BTD.shape
        qkv = self.qkv(x_BTD).view(batch, time, -1, self.head_size).transpose(1, 2)
        # queries and keys turn by the same angles: one rotation for both
        qk, v = qkv.split([self.n_heads + self.n_kv_heads, self.n_kv_heads], dim=1)
        qk = rotate(qk, context.cos, context.sin)
        q, k = qk.split([self.n_heads, self.n_kv_heads], dim=1)
        if context.cache is not None:
            k, v = context.cache.update(self.layer, k, v)
        y = self._attend(q, k, v, context)
        y_BTD: Tensor = self.out(y.transpose(1, 2).reshape(batch, time, -1))
        return y_BTD

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        """Whichever computes the same fastest: see `short_attention.py` for when plain products win."""
        time = q.shape[2]
        plain_causal = context.mask is None and k.shape[2] == time
        if self.training and plain_causal and self.dropout == 0 and time <= LONGEST and q.device.type == "cpu":
            return short_causal_attention(q, k, v, context.borders)
        mask = context.mask if context.borders is None else context.borders
        return functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask is None and time > 1,
            enable_gqa=self.n_kv_heads != self.n_heads,
        )


def attention_mask(
    time: int, cache: KeyValueCache | None, padding_BT: Tensor | None, device: torch.device
) -> Tensor | None:
    """Who may look at whom, or None where plain causal attention says it all.

    Args:
        time: New tokens.
        cache: Earlier tokens, or None.
        padding_BT: (batch, earlier + new) bool, True = real token; None when nothing is padded.
        device: Where the mask is needed.

    Returns:
        None or (batch or 1, 1, new, earlier + new) bool. A padded query may look at itself, so that no row is empty.
    """
    earlier = cache.length if cache is not None else 0
    if padding_BT is None and (earlier == 0 or time == 1):
        return None
    total = earlier + time
    queries = torch.arange(earlier, total, device=device)[:, None]
    keys = torch.arange(total, device=device)[None, :]
    mask = (keys <= queries)[None, None]
    if padding_BT is not None:
        mask = (mask & padding_BT[:, None, None, :]) | (keys == queries)[None, None]
    return mask


def document_positions(documents_BT: Tensor) -> Tensor:
    """How far each token is from the beginning of its document in the sequence: (batch, time) int64.

    Args:
        documents_BT: (batch, time) int64, the number of each token's document; equal numbers are neighbours.
    """
    time = torch.arange(documents_BT.shape[1], device=documents_BT.device).expand_as(documents_BT)
    begins = torch.ones_like(documents_BT, dtype=torch.bool)
    begins[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return time - torch.where(begins, time, 0).cummax(dim=1).values


def document_borders(documents_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """Block-diagonal causal attention as a bias, so that no token sees another document.

    Args:
        documents_BT: (batch, time) int64, the number of each token's document.
        dtype: Of the attention scores.

    Returns:
        (batch, 1, time, time): 0 where a query may look, -inf elsewhere. A query may always look at itself.
    """
    time = documents_BT.shape[1]
    causal = torch.ones(time, time, dtype=torch.bool, device=documents_BT.device).tril()
    allowed = (documents_BT[:, :, None] == documents_BT[:, None, :]) & causal
    bias = torch.zeros(allowed.shape, dtype=dtype, device=documents_BT.device)
    return bias.masked_fill_(~allowed, float("-inf")).unsqueeze(1)
