"""Attention in tiles with a running softmax: the readable reference that every fused kernel is tested against.

Flash attention's arithmetic (Dao et al. 2022, arXiv:2205.14135, algorithm 1; the running softmax is Milakov &
Gimelshein 2018, arXiv:1805.02867) without its kernel: the memory for scores is one tile, whatever the length.
It is differentiated by autograd, which keeps the tiles' probabilities, and it alone knows soft-capped scores.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.architecture.soft_cap import soft_capped

TILE = 256


def tiled_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, softcap: float | None = None, tile: int = TILE
) -> Tensor:
    """Softmax attention of the last `time` of `all` tokens.

    Args:
        q: (batch, heads, time, head_size).
        k: (batch, kv_heads, all, head_size), kv_heads divides heads.
        v: As k.
        bias: None for plain causal attention, else (batch or 1, heads or 1, time, all) bool (True = may look) or float.
            Every query must see at least one key.
        softcap: `softcap * tanh(scores / softcap)` before the bias (Gemma 2, arXiv:2408.00118, section 2.2).
        tile: Queries, and keys, of one tile.

    Returns:
        (batch, heads, time, head_size).
    """
    time, total, repeats = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    if repeats > 1:
        k, v = (x.repeat_interleave(repeats, dim=1) for x in (k, v))
    rows = []
    for top in range(0, time, tile):
        queries = slice(top, min(top + tile, time))
        seen = total - time + queries.stop  # no later key is visible
        rows.append(_row(q[:, :, queries], k[:, :, :seen], v[:, :, :seen], bias, queries, total - time, softcap, tile))
    return torch.cat(rows, dim=2)


def _row(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, queries: slice, earlier: int, softcap: float | None, tile: int
) -> Tensor:
    """One tile of queries over all their tiles of keys."""
    dtype = torch.promote_types(q.dtype, torch.float32)
    largest = torch.full(q.shape[:3], float("-inf"), dtype=dtype, device=q.device)
    total = torch.zeros(q.shape[:3], dtype=dtype, device=q.device)
    y = torch.zeros(q.shape, dtype=dtype, device=q.device)
    for left in range(0, k.shape[2], tile):
        keys = slice(left, min(left + tile, k.shape[2]))
        scores = (q @ k[:, :, keys].transpose(2, 3)).to(dtype) * q.shape[-1] ** -0.5
        if softcap is not None:
            scores = soft_capped(scores, softcap)
        scores = scores + _tile_bias(bias, queries, keys, earlier, scores)
        new_largest = torch.maximum(largest, scores.detach().amax(dim=-1))
        # a row that has seen nothing yet would subtract -inf from -inf
        offset = new_largest.masked_fill(new_largest == float("-inf"), 0.0)
        weights = torch.exp(scores - offset[..., None])
        shrink = torch.exp(largest - offset)
        y = y * shrink[..., None] + (weights.to(v.dtype) @ v[:, :, keys]).to(dtype)
        total, largest = total * shrink + weights.sum(dim=-1), new_largest
    return (y / total[..., None]).to(q.dtype)


def _tile_bias(bias: Tensor | None, queries: slice, keys: slice, earlier: int, scores: Tensor) -> Tensor:
    if bias is None:
        q_index = torch.arange(earlier + queries.start, earlier + queries.stop, device=scores.device)[:, None]
        allowed = torch.arange(keys.start, keys.stop, device=scores.device)[None, :] <= q_index
    else:
        part = bias[:, :, queries, keys]
        if part.dtype != torch.bool:
            return part.to(scores.dtype)
        allowed = part
    return torch.zeros(allowed.shape, dtype=scores.dtype, device=scores.device).masked_fill(~allowed, float("-inf"))
