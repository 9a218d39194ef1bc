"""One new token through a whole block of Llama: what takes longest there is calling one part after the other.

Norm, projections, rotation, attention to what a cache holds, and the gated unit, with float32 between them. Threads
share the outputs of each product and the heads, and wait for each other between the parts; the residual stream, which
is small, each has for itself. A number is summed by one thread, so results are the same on any number of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.kernels.decoding_kernels import attended_rows
from model.kernels.gate_kernels import gated_line
from model.kernels.launch import row_kernel
from model.kernels.norm_kernels import normed_rows
from model.kernels.numbers_kernels import (
    FLOAT32,
    double_of,
    floats,
    halves,
    inlined,
    loops,
    narrowed,
    part_of,
    thread_number,
    wait_for_others,
    widened,
)
from model.kernels.product_kernels import product_of, widen
from model.kernels.turn_kernels import turn


@loops
def _add(x: Any, y: Any) -> None:
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[row, i] += y[row, i]


@loops
def _write(x: Any, y: Any, first: int, last: int) -> None:
    for row in range(x.shape[0]):
        for i in range(first, last):
            y[row, i] = narrowed(x[row, i], y[row, i])


@loops
def _turn_and_hold(
    qkv: Any, kv_heads: int, cos: Any, sin: Any, k: Any, v: Any, turned: int, length: int, first: int, last: int
) -> None:
    """Turn some heads where they are, (row, head) by number, and put keys and values into places number `length`."""
    n, size = qkv.shape[1], qkv.shape[2]
    heads = n - 2 * kv_heads
    for task in range(first, last):
        row, head = task // n, task % n
        features = qkv[row, head]
        if turned and head < heads + kv_heads:
            turn(features, features, cos, sin, False)
        if head >= heads + kv_heads:
            held = v[row * kv_heads + head - heads - kv_heads, length]
            for i in range(size):
                held[i] = narrowed(features[i], held[i])
        elif head >= heads:
            held = k[row * kv_heads + head - heads, length]
            for i in range(size):
                held[i] = narrowed(features[i], held[i])


@loops
def _attend(
    qkv: Any, k: Any, v: Any, y: Any, length: int, kv_heads: int, scale: Any, scores: Any, total: Any,
    first: int, last: int,
) -> None:  # fmt: skip
    """Attention of some heads, (row, head) by number, to all that is held."""
    heads = qkv.shape[1] - 2 * kv_heads
    for row in range(first // heads, (last + heads - 1) // heads):
        low, high = max(first - row * heads, 0), min(last - row * heads, heads)
        held = row * kv_heads
        query, keys, values = qkv[row, :heads], k[held : held + kv_heads], v[held : held + kv_heads]
        attended = y[row * heads : (row + 1) * heads]
        attended_rows(query, keys, values, attended, length, heads, kv_heads, scale, scores, total, low, high)


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
def _attention(a: Any, normed: Any, added: Any, shared: Any, own: Any) -> None:
    """Attention of the normed tokens, added to nothing yet."""
    rows, heads, kv_heads, size, turned, length, room = a[1], a[4], a[5], a[6], a[8], a[9], a[10]
    features, of_queries = (heads + 2 * kv_heads) * size, heads * size
    qkv, attended = _cut(shared, 0, rows, features), _cut(shared, rows * features, rows * heads, size)
    cos, sin, total, scores = own[:size], own[size : 2 * size], own[2 * size : 3 * size], own[3 * size :]
    first, last = part_of(features, a[0])
    product_of(a[22], normed, a[23], a[24], qkv, first, last)
    wait_for_others(a[0])
    by_head, held = qkv.reshape((rows, heads + 2 * kv_heads, size)), (rows * kv_heads, room, size)
    scale = np.float32(1.0 / np.sqrt(size))
    first, last = part_of(rows * (heads + 2 * kv_heads), a[0])
    low, high = part_of(rows * heads, a[0])
    if a[2] == FLOAT32:
        cos[:], sin[:] = floats(a[14], size), floats(a[15], size)
        k, v = floats(a[16], held), floats(a[17], held)
        _turn_and_hold(by_head, kv_heads, cos, sin, k, v, turned, length, first, last)
        wait_for_others(a[0])
        _attend(by_head, k, v, attended, length + 1, kv_heads, scale, scores, total, low, high)
    else:
        cos16, sin16 = halves(a[14], size), halves(a[15], size)
        for i in range(size):
            cos[i], sin[i] = widened(cos16[i]), widened(sin16[i])
        k16, v16 = halves(a[16], held), halves(a[17], held)
        _turn_and_hold(by_head, kv_heads, cos, sin, k16, v16, turned, length, first, last)
        wait_for_others(a[0])
        _attend(by_head, k16, v16, attended, length + 1, kv_heads, scale, scores, total, low, high)
    wait_for_others(a[0])
    first, last = part_of(a[3], a[0])
    product_of(a[25], attended.reshape((rows, of_queries)), a[26], a[27], added, first, last)


@inlined
def _feedforward(a: Any, normed: Any, added: Any, shared: Any) -> None:
    """The gated unit of the normed tokens, added to nothing yet."""
    rows, inner = a[1], a[7]
    wide, gated = _cut(shared, 0, rows, 2 * inner), _cut(shared, rows * 2 * inner, rows, inner)
    first, last = part_of(inner, a[0])
    product_of(a[28], normed, a[29], a[30], wide, first, last)
    product_of(a[28], normed, a[29], a[30], wide, inner + first, inner + last)
    for row in range(rows):
        gated_line(wide[row, first:last], wide[row, inner + first : inner + last], gated[row, first:last])
    wait_for_others(a[0])
    first, last = part_of(a[3], a[0])
    product_of(a[31], gated, a[32], a[33], added, first, last)


@row_kernel
def decode_block(a: Any) -> None:
    """Kind, width, heads, kv_heads, head size, inner width, turned, length, room, eps, and then addresses.

    Of x, y, cos, sin, keys and values; kind and address of both norms; kind, address and scales of the matrices qkv,
    out, gate and up, down; space that threads share, its size; space of each thread, its size (`block.py`). Rows are
    tokens; every thread works on all of them.
    """
    rows, width, flat, eps = a[1], a[3], (a[1], a[3]), double_of(a[11])
    shared, own = floats(a[34], a[35]), floats(a[36], (a[0], a[37]))[thread_number()]
    stream, normed = _cut(own, 0, rows, width), _cut(own, rows * width, rows, width)
    scale, rest = own[2 * rows * width :], own[2 * rows * width + rows :]
    added, between = _cut(shared, 0, rows, width), shared[rows * width :]
    if a[2] == FLOAT32:
        widen(floats(a[12], flat), stream)
    else:
        widen(halves(a[12], flat), stream)
    _normed(a[18], stream, a[19], normed, scale, eps)
    _attention(a, normed, added, between, rest)
    wait_for_others(a[0])
    _add(stream, added)
    _normed(a[20], stream, a[21], normed, scale, eps)
    _feedforward(a, normed, added, between)
    wait_for_others(a[0])
    _add(stream, added)
    first, last = part_of(width, a[0])
    if a[2] == FLOAT32:
        _write(stream, floats(a[13], flat), first, last)
    else:
        _write(stream, halves(a[13], flat), first, last)
