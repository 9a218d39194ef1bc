"""RMSNorm, forward and backward, in one pass over memory each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from model.kernels.launch import row_kernel
from model.kernels.numbers_kernels import (
    FLOAT32,
    double_of,
    floats,
    halves,
    loops,
    narrowed,
    share,
    sums,
    thread_number,
    widened,
)


@sums
def _squares(x: Any) -> Any:
    total = np.float32(0)
    for i in range(x.shape[0]):
        v = widened(x[i])
        total += v * v
    return total


@sums
def _dot(gy: Any, weight: Any, x: Any) -> Any:
    dot = np.float32(0)
    for i in range(x.shape[0]):
        dot += widened(gy[i]) * weight[i] * widened(x[i])
    return dot


@loops
def normed_rows(x: Any, weight: Any, y: Any, scale: Any, eps: float, first: int, last: int) -> None:
    """RMSNorm of some rows; `scale` gets what each was multiplied by."""
    n = x.shape[1]
    for row in range(first, last):
        factor = np.float32(1.0 / math.sqrt(np.float64(_squares(x[row])) / n + eps))
        scale[row] = factor
        for i in range(n):
            y[row, i] = narrowed(widened(x[row, i]) * factor * widened(weight[i]), y[row, i])


@loops
def _backward(
    x: Any, weight: Any, scale: Any, gy: Any, gx: Any, gweight: Any, thread: int, first: int, last: int
) -> None:
    n = x.shape[1]
    for row in range(first, last):
        factor = scale[row]
        dot = _dot(gy[row], weight, x[row]) * (factor * factor / np.float32(n))
        for i in range(n):
            v, g = widened(x[row, i]), widened(gy[row, i])
            gweight[thread, i] += g * v * factor
            gx[row, i] = narrowed(factor * (g * weight[i] - v * dot), gx[row, i])


@row_kernel
def rms_forward(a: Any) -> None:
    """Kind, features, eps, x, weight (float32), y, scale (float32, one a row)."""
    first, last = share(a)
    shape, eps = (a[1], a[3]), double_of(a[4])
    weight, scale = floats(a[6], a[3]), floats(a[8], a[1])
    if a[2] == FLOAT32:
        normed_rows(floats(a[5], shape), weight, floats(a[7], shape), scale, eps, first, last)
    else:
        normed_rows(halves(a[5], shape), weight, halves(a[7], shape), scale, eps, first, last)


@row_kernel
def rms_backward(a: Any) -> None:
    """Kind, features, x, weight (float32), scale, gradient of y, of x, of weight (threads x features, float32)."""
    first, last = share(a)
    shape = (a[1], a[3])
    weight, scale, gweight = floats(a[5], a[3]), floats(a[6], a[1]), floats(a[9], (a[0], a[3]))
    thread = thread_number()
    if a[2] == FLOAT32:
        x, gy, gx = floats(a[4], shape), floats(a[7], shape), floats(a[8], shape)
        _backward(x, weight, scale, gy, gx, gweight, thread, first, last)
    else:
        x16, gy16, gx16 = halves(a[4], shape), halves(a[7], shape), halves(a[8], shape)
        _backward(x16, weight, scale, gy16, gx16, gweight, thread, first, last)
