"""Attention of one new token on a CPU: one pass over the keys and values that the cache holds."""

from __future__ import annotations

import torch
from torch import Tensor

from model.kernels.decoding_kernels import attend_to_cache
from model.kernels.launch import NUMBERS, bits, without_gradients


def decodes(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether this is one new token for which nobody wants gradients, and keys and values lie as a cache has them."""
    return q.shape[2] == 1 and without_gradients(q, k, v) and _room(k) is not None and _room(k) == _room(v)


def decoding_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention (Vaswani et al. 2017, eq. 1) of the last token to all.

    Args:
        q: (batch, heads, 1, head_size).
        k: (batch, kv_heads, all, head_size), kv_heads divides heads; a head's tokens lie one behind the other.
        v: As k.

    Returns:
        (batch, heads, 1, head_size).
    """
    batch, heads, _, size = q.shape
    kv_heads, length, room = k.shape[1], k.shape[2], _room(k) or k.shape[2]
    q, y = q.contiguous(), q.new_empty(q.shape)
    space = torch.empty(torch.get_num_threads() * (room + size))
    attend_to_cache.launch(
        batch * heads, batch * heads * length * size, NUMBERS[q.dtype], heads, kv_heads, size, length, room,
        bits(size**-0.5), q, k, v, y, space,
    )  # fmt: skip
    return y


def _room(held: Tensor) -> int | None:
    """Places for tokens of a head, in a part of a cache (batch, kv_heads, room, head_size); None if it is none."""
    batch_stride, head_stride, token_stride, stride = held.stride()
    size, kv_heads = held.shape[3], held.shape[1]
    if stride != 1 or token_stride != size or head_stride % size or batch_stride != kv_heads * head_stride:
        return None
    return head_stride // size
