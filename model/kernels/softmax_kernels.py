"""Causal softmax of attention scores in place, and its gradient: only what is visible is read.

Scores are a band of queries: (sequences x heads, queries, keys), the first query standing at `offset`. A query sees
the keys from its `start` to itself; starts are one for each token of a sequence, 0 where a sequence is one text.
"""

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
    integers,
    largest_of,
    loops,
    narrowed,
    share,
    sums,
    thread_number,
    widened,
)


@sums
def _total(numbers: Any) -> Any:
    total = np.float32(0)
    for i in range(numbers.shape[0]):
        total += numbers[i]
    return total


@sums
def _dot(p: Any, g: Any) -> Any:
    dot = np.float32(0)
    for i in range(p.shape[0]):
        dot += widened(p[i]) * widened(g[i])
    return dot


@loops
def _forward(
    scores: Any, starts: Any, space: Any, heads: int, queries: int, offset: int, scale: Any, first: int, last: int
) -> None:
    keys = scores.shape[1]
    for row in range(first, last):
        position = offset + row % queries
        low, high = starts[row // (queries * heads) % starts.shape[0], position], position + 1
        line = scores[row]
        seen = line[low:high]
        n = high - low
        largest = largest_of(seen)
        for i in range(n):
            space[i] = exponential((widened(seen[i]) - largest) * scale)
        factor = np.float32(1) / _total(space[:n])
        for i in range(n):
            seen[i] = narrowed(space[i] * factor, seen[i])
        line[:low] = 0
        line[high:keys] = 0


@loops
def _backward(
    weights: Any, gradient: Any, starts: Any, heads: int, queries: int, offset: int, scale: Any, first: int, last: int
) -> None:
    keys = weights.shape[1]
    for row in range(first, last):
        position = offset + row % queries
        low, high = starts[row // (queries * heads) % starts.shape[0], position], position + 1
        p, line = weights[row, low:high], gradient[row]
        g = line[low:high]
        n = high - low
        dot = _dot(p, g)
        for i in range(n):
            g[i] = narrowed(widened(p[i]) * (widened(g[i]) - dot) * scale, g[i])
        line[:low] = 0
        line[high:keys] = 0


@row_kernel
def causal_softmax(a: Any) -> None:
    """Kind, keys, heads, queries, offset, scale (> 0), sequences, time, starts, scores, space (threads x keys)."""
    first, last = share(a)
    heads, queries, offset, scale = a[4], a[5], a[6], np.float32(double_of(a[7]))
    starts, shape, space = integers(a[10], (a[8], a[9])), (a[1], a[3]), floats(a[12], (a[0], a[3]))[thread_number()]
    if a[2] == FLOAT32:
        _forward(floats(a[11], shape), starts, space, heads, queries, offset, scale, first, last)
    else:
        _forward(halves(a[11], shape), starts, space, heads, queries, offset, scale, first, last)


@row_kernel
def causal_softmax_gradient(a: Any) -> None:
    """As `causal_softmax`, with the probabilities, and their gradient, which becomes that of the scores."""
    first, last = share(a)
    heads, queries, offset, scale = a[4], a[5], a[6], np.float32(double_of(a[7]))
    starts, shape = integers(a[10], (a[8], a[9])), (a[1], a[3])
    if a[2] == FLOAT32:
        _backward(floats(a[11], shape), floats(a[12], shape), starts, heads, queries, offset, scale, first, last)
    else:
        _backward(halves(a[11], shape), halves(a[12], shape), starts, heads, queries, offset, scale, first, last)
