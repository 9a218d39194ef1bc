"""The one entry to attention's arithmetic: whichever implementation computes the same fastest.

In order: `flexible_attention.py` on a GPU where many queries see less than everything before, or scores are
soft-capped; `tiled_attention.py` where scores are soft-capped elsewhere (no fused kernel of torch does that on a CPU);
`short_attention.py` in training at short context on a CPU; `scaled_dot_product_attention` (flash kernels where the
device has them) else, which is plain causal attention and the steps of decoding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.architecture.flexible_attention import compiles, flexible_attention
from model.architecture.masks import Sight
from model.architecture.short_attention import LONGEST, is_banded, short_causal_attention
from model.architecture.tiled_attention import tiled_attention
from model.kernels.decoding import attend_to_cached, room_of
from model.kernels.library import without_gradients

FLEXIBLE_DEVICES = frozenset({"cuda"})
"""Devices where FlexAttention is a fused kernel in both directions."""
SMALLEST_HEAD = 16
"""Features of a head that its kernels need at least."""


def attend(
    q: Tensor, k: Tensor, v: Tensor, sight: Sight, *, training: bool, dropout: float, softcap: float | None
) -> Tensor:
    """Softmax attention (Vaswani et al. 2017, eq. 1) of the last `time` of `all` tokens.

    Args:
        q: (batch, heads, time, head_size).
        k: (batch, kv_heads, all, head_size), kv_heads divides heads.
        v: As k.
        sight: Who may look at whom. Its bias is None for plain causal attention, else (batch or 1, heads or 1, time,
            all): a bool mask (True = may look), or a bias in q's dtype that includes what causal forbids.
        training: Whether gradients and dropout are wanted.
        dropout: Share of the probabilities dropped in training.
        softcap: Scores are kept below this by tanh before the bias; None is without.

    Returns:
        (batch, heads, time, head_size).
    """
    dropout = dropout if training else 0.0
    flexible = is_flexible(q.device.type, sight, head_size=q.shape[-1], dropout=dropout, softcap=softcap)
    if flexible and compiles(q.device.type):
        return flexible_attention(q, k, v, sight, softcap)
    bias = sight.bias(q.dtype)
    time, masked_by_bool = q.shape[2], bias is not None and bias.dtype == torch.bool
    if softcap is not None:
        return tiled_attention(q, k, v, bias, softcap=softcap)
    if bias is None and decodes(q, k, v):
        return attend_to_cached(q, k, v)
    if bias is None and dropout == 0 and is_banded(q, k, v):
        return short_causal_attention(q, k, v)
    short = training and dropout == 0 and k.shape[2] == time <= LONGEST and q.device.type == "cpu"
    if short and not masked_by_bool:
        return short_causal_attention(q, k, v, None if bias is None else bias.expand(q.shape[0], -1, -1, -1))
    return functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=bias,
        dropout_p=dropout,
        is_causal=bias is None and time > 1,
        enable_gqa=k.shape[1] != q.shape[1],
    )


def decodes(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether this is one new token for which nobody wants gradients, and keys and values lie as a cache has them."""
    if q.shape[2] != 1 or not without_gradients(q, k, v):
        return False
    room = room_of(k)
    return room is not None and room == room_of(v)


def is_flexible(device: str, sight: Sight, *, head_size: int, dropout: float, softcap: float | None) -> bool:
    """Whether FlexAttention is the fastest: else a dense bias is read for many queries, or all scores are kept.

    Args:
        device: Its type.
        sight: Who may look at whom.
        head_size: Features of a head.
        dropout: Of the probabilities; FlexAttention has none.
        softcap: Of the scores.
    """
    fits = device in FLEXIBLE_DEVICES and sight.time > 1 and head_size >= SMALLEST_HEAD and dropout == 0
    return fits and (sight.is_spanned or softcap is not None)
