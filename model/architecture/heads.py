"""From the features of a token to queries, keys and values of heads, turned by their positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.kernels.heads_kernels import move_heads
from model.kernels.launch import NUMBERS, takes, without_gradients


class _KernelHeads(torch.autograd.Function):
    """Split, laid out and turned in one pass each way."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None, sin: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(cos, sin)
        return _split(qkv.contiguous(), n_heads, n_kv_heads, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        cos, sin = ctx.saved_tensors
        q, k, v = (gradient.contiguous() for gradient in gradients)
        batch, n_heads, time, size = q.shape
        qkv = q.new_empty(batch, time, (n_heads + 2 * k.shape[1]) * size)
        _move(qkv, q, k, v, cos, sin, back=1)
        return qkv, None, None, None, None


def _split(
    qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None, sin: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    batch, time, features = qkv.shape
    size = features // (n_heads + 2 * n_kv_heads)
    q = qkv.new_empty(batch, n_heads, time, size)
    k = qkv.new_empty(batch, n_kv_heads, time, size)
    v = torch.empty_like(k)
    _move(qkv, q, k, v, cos, sin, back=0)
    return q, k, v


def _move(qkv: Tensor, q: Tensor, k: Tensor, v: Tensor, cos: Tensor | None, sin: Tensor | None, back: int) -> None:
    """From features to heads, or back."""
    batch, n_heads, time, size = q.shape
    turned = cos is not None and sin is not None
    table = (cos, sin) if cos is not None and sin is not None else (qkv, qkv)  # not read where nothing turns
    positions = table[0].numel() // size if turned else 1
    move_heads.launch(
        batch * time, qkv.numel(), NUMBERS[qkv.dtype], time, n_heads, k.shape[1], size, int(turned), back, positions,
        *table, qkv, q, k, v,
    )  # fmt: skip


def heads_of(
    qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None = None, sin: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of a CPU's kernels (see `kernels.launch.takes`).

    Args:
        qkv: (batch, time, (heads + 2 kv_heads) * head_size): queries, keys, values.
        n_heads: Of queries.
        n_kv_heads: Of keys and values.
        cos: (batch or 1, 1, time, head_size) in qkv's dtype, see `position.rotary_table`; None turns nothing.
        sin: As cos.

    Returns:
        (batch, heads, time, head_size), (batch, kv_heads, time, head_size) twice; contiguous.
    """
    if cos is not None and sin is not None:
        cos, sin = cos.contiguous(), sin.contiguous()
    if without_gradients(qkv):
        return _split(qkv.contiguous(), n_heads, n_kv_heads, cos, sin)
    found: tuple[Tensor, Tensor, Tensor] = _KernelHeads.apply(  # type: ignore[no-untyped-call]
        qkv, n_heads, n_kv_heads, cos, sin
    )
    return found


__all__ = ["heads_of", "takes"]
