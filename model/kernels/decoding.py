"""Attention of one new token to all that a cache holds, as an operator: one pass over keys and values."""

from __future__ import annotations

import torch
from torch import Tensor

from model.kernels.decoding_kernels import attend_to_cache
from model.kernels.launch import bits
from model.kernels.library import checked, kind_of, operator, refuse, space


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    name, room = "attend_to_cache", room_of(k)
    if q.dim() != 4 or q.shape[2] != 1 or not k.shape[2] or q.shape[1] % max(1, k.shape[1]):
        raise refuse(name, f"q {tuple(q.shape)} is no token of each sequence that looks at keys {tuple(k.shape)}")
    expected = (q.shape[0], k.shape[1], k.shape[2], q.shape[3])
    if k.shape != expected or v.shape != expected or {q.dtype} != {k.dtype, v.dtype} or not (k.is_cpu and v.is_cpu):
        raise refuse(
            name, f"keys {tuple(k.shape)} and values {tuple(v.shape)} are not both {expected} of q's type on a CPU"
        )
    if room is None or room_of(v) != room:
        raise refuse(name, "the tokens of a head do not lie one behind the other, as in a cache")
    q, y = checked(name, "q", q, q.dtype, tuple(q.shape)), q.new_empty(q.shape)
    batch, heads, _, size = q.shape
    kv_heads, length = k.shape[1:3]
    scores = space(torch.get_num_threads() * (length + size))
    attend_to_cache.launch(
        batch * heads, batch * heads * length * size, kind_of(name, q), heads, kv_heads, size, length, room,
        bits(size**-0.5), q, k, v, y, scores,
    )  # fmt: skip
    return y


def _fake_attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    del k, v
    return q.new_empty(q.shape)


_attend_to_cache = operator("attend_to_cache(Tensor q, Tensor k, Tensor v) -> Tensor", _attend, _fake_attend)


def room_of(held: Tensor) -> int | None:
    """Places for tokens of a head in a cache of which `held` (batch, kv_heads, length, head_size) is the beginning.

    None where it is no such part: heads must lie evenly, one behind the other.
    """
    if held.dim() != 4:
        return None
    batch, kv_heads, length, size = held.shape
    batch_stride, head_stride, token_stride, stride = held.stride()
    if stride != 1 or (length > 1 and token_stride != size):
        return None
    # a side of one has any stride
    if kv_heads == 1:
        head_stride = batch_stride if batch > 1 else length * size
    if head_stride % size or head_stride < length * size or (batch > 1 and batch_stride != kv_heads * head_stride):
        return None
    return head_stride // size


def attend_to_cached(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention (Vaswani et al. 2017, eq. 1) of the last token to all, without gradients.

    Args:
        q: (batch, heads, 1, head_size) float32 or bfloat16 on a CPU.
        k: (batch, kv_heads, all, head_size), kv_heads divides heads; the beginning of a cache, see `room_of`.
        v: As k.

    Returns:
        (batch, heads, 1, head_size).
    """
    y: Tensor = _attend_to_cache(q, k, v)
    return y
