"""Attention of one new token to all that a cache holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.kernels.launch import row_kernel
from model.kernels.numbers_kernels import (
    FLOAT32,
    double_of,
    exponential,
    floats,
    halves,
    largest_of,
    loops,
    narrowed,
    share,
    sums,
    thread_number,
    widened,
)


@sums
def _dot(query: Any, key: Any) -> Any:
    dot = np.float32(0)
    for i in range(query.shape[0]):
        dot += widened(query[i]) * widened(key[i])
    return dot


@sums
def _total(numbers: Any) -> Any:
    total = np.float32(0)
    for i in range(numbers.shape[0]):
        total += numbers[i]
    return total


@loops
def attended_rows(
    q: Any, k: Any, v: Any, y: Any, length: int, heads: int, kv_heads: int, scale: Any, scores: Any, total: Any,
    first: int, last: int,
) -> None:  # fmt: skip
    """Attention of some rows (batch, heads) to the first `length` places of theirs; scores and total are space."""
    size = q.shape[1]
    for row in range(first, last):
        batch, head = row // heads, row % heads
        held = batch * kv_heads + head // (heads // kv_heads)
        query, keys, values = q[row], k[held], v[held]
        for t in range(length):
            scores[t] = _dot(query, keys[t]) * scale
        seen = scores[:length]
        largest = largest_of(seen)
        for t in range(length):
            seen[t] = exponential(seen[t] - largest)
        weights = _total(seen)
        total[:] = 0
        for t in range(length):
            value, weight = values[t], seen[t]
            for i in range(size):
                total[i] += weight * widened(value[i])
        for i in range(size):
            y[row, i] = narrowed(total[i] / weights, y[row, i])


@row_kernel
def attend_to_cache(a: Any) -> None:
    """Kind, heads, kv_heads, head size, length, room, scale, q, k, v, y, space (threads x (length + head size)).

    Rows are (batch, heads); keys and values have `room` places a head, of which the first `length` are held.
    """
    first, last = share(a)
    heads, kv_heads, size, length, room, scale = a[3], a[4], a[5], a[6], a[7], np.float32(double_of(a[8]))
    flat, held = (a[1], size), (a[1] // heads * kv_heads, room, size)
    space = floats(a[13], (a[0], length + size))[thread_number()]
    scores, total = space[:length], space[length:]
    if a[2] == FLOAT32:
        q, k, v, y = floats(a[9], flat), floats(a[10], held), floats(a[11], held), floats(a[12], flat)
        attended_rows(q, k, v, y, length, heads, kv_heads, scale, scores, total, first, last)
    else:
        q16, k16, v16, y16 = halves(a[9], flat), halves(a[10], held), halves(a[11], held), halves(a[12], flat)
        attended_rows(q16, k16, v16, y16, length, heads, kv_heads, scale, scores, total, first, last)
