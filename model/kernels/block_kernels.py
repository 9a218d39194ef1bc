"""One new token through a whole block of Llama: what takes longest there is calling one part after the other.

Norm, projections, rotation, attention to what a cache holds, and the gated unit, with float32 between them. It runs on
one thread, which reads weights as fast as memory gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.kernels.decoding_kernels import attended_rows
from model.kernels.gate_kernels import gated_rows
from model.kernels.launch import row_kernel
from model.kernels.norm_kernels import normed_rows
from model.kernels.numbers_kernels import FLOAT32, double_of, floats, halves, inlined, loops, narrowed, widened
from model.kernels.product_kernels import product_of, widen
from model.kernels.turn_kernels import turn


@loops
def _add(x: Any, y: Any) -> None:
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[row, i] += y[row, i]


@loops
def _write(x: Any, y: Any) -> None:
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[row, i] = narrowed(x[row, i], y[row, i])


@loops
def _turn_and_hold(qkv: Any, query: Any, cos: Any, sin: Any, k: Any, v: Any, turned: int, length: int) -> None:
    """Turn queries, and keys on the way into the cache's places number `length`, where values go too."""
    size, heads = qkv.shape[2], query.shape[0] // qkv.shape[0]
    kv_heads = (qkv.shape[1] - heads) // 2
    for row in range(qkv.shape[0]):
        if turned:
            for head in range(heads + kv_heads):
                turn(qkv[row, head], qkv[row, head], cos, sin, False)
        for head in range(heads):
            query[row * heads + head] = qkv[row, head]
        for head in range(kv_heads):
            key, value, new = k[row * kv_heads + head, length], v[row * kv_heads + head, length], heads + head
            for i in range(size):
                key[i] = narrowed(qkv[row, new, i], key[i])
                value[i] = narrowed(qkv[row, new + kv_heads, i], value[i])


@inlined
def _normed(kind: int, x: Any, weight: int, y: Any, scale: Any, eps: float) -> None:
    rows, n = x.shape
    if kind == FLOAT32:
        normed_rows(x, floats(weight, n), y, scale, eps, 0, rows)
    else:
        normed_rows(x, halves(weight, n), y, scale, eps, 0, rows)


@inlined
def _cut(space: Any, start: int, rows: int, columns: int) -> Any:
    """A matrix in a piece of space."""
    return space[start : start + rows * columns].reshape((rows, columns))


@inlined
def _attention(a: Any, normed: Any, added: Any, space: Any) -> None:
    """Attention of the normed tokens, added to nothing yet."""
    rows, heads, kv_heads, size, turned, length, room = a[1], a[4], a[5], a[6], a[8], a[9], a[10]
    features, of_queries = (heads + 2 * kv_heads) * size, heads * size
    qkv = _cut(space, 0, rows, features)
    query = _cut(space, rows * features, rows * heads, size)
    attended = _cut(space, rows * (features + of_queries), rows * heads, size)
    rest = space[rows * (features + 2 * of_queries) :]
    cos, sin, scores, total = rest[:size], rest[size : 2 * size], rest[2 * size :], rest[2 * size + room :]
    product_of(a[22], normed, a[23], a[24], qkv, 0, qkv.shape[1])
    by_head, held = qkv.reshape((rows, heads + 2 * kv_heads, size)), (rows * kv_heads, room, size)
    scale = np.float32(1.0 / np.sqrt(size))
    if a[2] == FLOAT32:
        cos[:], sin[:] = floats(a[14], size), floats(a[15], size)
        k, v = floats(a[16], held), floats(a[17], held)
        _turn_and_hold(by_head, query, cos, sin, k, v, turned, length)
        attended_rows(query, k, v, attended, length + 1, heads, kv_heads, scale, scores, total, 0, rows * heads)
    else:
        cos16, sin16 = halves(a[14], size), halves(a[15], size)
        for i in range(size):
            cos[i], sin[i] = widened(cos16[i]), widened(sin16[i])
        k16, v16 = halves(a[16], held), halves(a[17], held)
        _turn_and_hold(by_head, query, cos, sin, k16, v16, turned, length)
        attended_rows(query, k16, v16, attended, length + 1, heads, kv_heads, scale, scores, total, 0, rows * heads)
    product_of(a[25], attended.reshape((rows, of_queries)), a[26], a[27], added, 0, added.shape[1])


@inlined
def _feedforward(a: Any, normed: Any, added: Any, space: Any) -> None:
    """The gated unit of the normed tokens, added to nothing yet."""
    rows, inner = a[1], a[7]
    wide, gated = _cut(space, 0, rows, 2 * inner), _cut(space, rows * 2 * inner, rows, inner)
    product_of(a[28], normed, a[29], a[30], wide, 0, wide.shape[1])
    gated_rows(wide, gated, 0, rows)
    product_of(a[31], gated, a[32], a[33], added, 0, added.shape[1])


@row_kernel
def decode_block(a: Any) -> None:
    """Kind, width, heads, kv_heads, head size, inner width, turned, length, room, eps, and then addresses.

    Of x, y, cos, sin, keys and values; kind and address of both norms; kind, address and scales of the matrices qkv,
    out, gate and up, down; space and its size (`decoding_block.py`). Rows are tokens and go to one thread together.
    """
    rows, width, flat, eps = a[1], a[3], (a[1], a[3]), double_of(a[11])
    space = floats(a[34], a[35])
    stream, normed = _cut(space, 0, rows, width), _cut(space, rows * width, rows, width)
    added, scale = _cut(space, 2 * rows * width, rows, width), space[3 * rows * width :]
    rest = scale[rows:]
    if a[2] == FLOAT32:
        widen(floats(a[12], flat), stream)
    else:
        widen(halves(a[12], flat), stream)
    _normed(a[18], stream, a[19], normed, scale, eps)
    _attention(a, normed, added, rest)
    _add(stream, added)
    _normed(a[20], stream, a[21], normed, scale, eps)
    _feedforward(a, normed, added, rest)
    _add(stream, added)
    if a[2] == FLOAT32:
        _write(stream, floats(a[13], flat))
    else:
        _write(stream, halves(a[13], flat))
