"""From the features of a token to queries, keys and values of heads, turned by their positions, as an operator."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from model.kernels.heads_kernels import move_heads
from model.kernels.library import checked, differentiable, kind_of, operator, refuse

Three = tuple[Tensor, Tensor, Tensor]


def _move(
    name: str, qkv: Tensor, q: Tensor, k: Tensor, v: Tensor, cos: Tensor | None, sin: Tensor | None, back: int
) -> None:
    """From features to heads, or back; qkv, q, k and v are contiguous and of one type."""
    batch, n_heads, time, size = q.shape
    kind, positions, tables = kind_of(name, qkv), 1, (qkv, qkv)  # not read where nothing turns
    if (cos is None) != (sin is None):
        raise refuse(name, "cos without sin, or sin without cos")
    if cos is not None and sin is not None:
        positions = cos.numel() // size if size else 0
        if size % 2 or cos.shape[-1:] != (size,) or positions not in {time, batch * time}:
            raise refuse(
                name, f"tables {tuple(cos.shape)} fit no {batch} x {time} tokens with heads of {size} features"
            )
        shape = tuple(cos.shape)
        tables = (checked(name, "cos", cos, qkv.dtype, shape), checked(name, "sin", sin, qkv.dtype, shape))
    move_heads.launch(
        batch * time, qkv.numel(), kind, time, n_heads, k.shape[1], size, int(cos is not None), back, positions,
        *tables, qkv, q, k, v,
    )  # fmt: skip


def _split(qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None, sin: Tensor | None) -> Three:
    name, parts = "split_heads", n_heads + 2 * n_kv_heads
    if qkv.dim() != 3 or n_heads < 1 or n_kv_heads < 0 or qkv.shape[2] % parts:
        raise refuse(name, f"{tuple(qkv.shape)} is no (batch, time, {n_heads} + 2 x {n_kv_heads} heads)")
    qkv = checked(name, "qkv", qkv, qkv.dtype, tuple(qkv.shape))
    q, k, v = _fake_split(qkv, n_heads, n_kv_heads, cos, sin)
    if qkv.numel():
        _move(name, qkv, q, k, v, cos, sin, back=0)
    return q, k, v


def _fake_split(qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None, sin: Tensor | None) -> Three:
    del cos, sin
    batch, time, features = qkv.shape
    size = features // (n_heads + 2 * n_kv_heads)
    k_shape = (batch, n_kv_heads, time, size)
    return qkv.new_empty(batch, n_heads, time, size), qkv.new_empty(k_shape), qkv.new_empty(k_shape)


def _join(q: Tensor, k: Tensor, v: Tensor, cos: Tensor | None, sin: Tensor | None) -> Tensor:
    name = "join_heads"
    if q.dim() != 4 or k.dim() != 4:
        raise refuse(name, "queries and keys are (batch, heads, time, head size)")
    q = checked(name, "q", q, q.dtype, tuple(q.shape))
    shape = (q.shape[0], k.shape[1], *q.shape[2:])
    k, v = checked(name, "k", k, q.dtype, shape), checked(name, "v", v, q.dtype, shape)
    qkv = _fake_join(q, k, v, cos, sin)
    if qkv.numel():
        _move(name, qkv, q, k, v, cos, sin, back=1)
    return qkv


def _fake_join(q: Tensor, k: Tensor, v: Tensor, cos: Tensor | None, sin: Tensor | None) -> Tensor:
    del v, cos, sin
    batch, n_heads, time, size = q.shape
    return q.new_empty(batch, time, (n_heads + 2 * k.shape[1]) * size)


_split_heads = operator(
    "split_heads(Tensor qkv, int n_heads, int n_kv_heads, Tensor? cos, Tensor? sin) -> (Tensor, Tensor, Tensor)",
    _split,
    _fake_split,
)
_join_heads = operator(
    "join_heads(Tensor q, Tensor k, Tensor v, Tensor? cos, Tensor? sin) -> Tensor", _join, _fake_join
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Three) -> None:
    del output
    ctx.save_for_backward(*inputs[3:])


def _gradients(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    return _join_heads(*gradients, *ctx.saved_tensors), None, None, None, None


differentiable("split_heads", _gradients, _keep)


def split_heads(
    qkv: Tensor, n_heads: int, n_kv_heads: int, cos: Tensor | None = None, sin: Tensor | None = None
) -> Three:
    """Queries, keys and values, those that turn turned.

    Args:
        qkv: (batch, time, (heads + 2 kv_heads) * head_size) float32 or bfloat16 on a CPU: queries, keys, values.
        n_heads: Of queries.
        n_kv_heads: Of keys and values.
        cos: (batch or 1, 1, time, head_size) in qkv's dtype, see `architecture/position.py`; None turns nothing.
        sin: As cos.

    Returns:
        (batch, heads, time, head_size), (batch, kv_heads, time, head_size) twice; contiguous.
    """
    found: Three = _split_heads(qkv, n_heads, n_kv_heads, cos, sin)
    return found
