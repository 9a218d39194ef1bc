"""`silu(gate) * up`, forward and backward, in one pass over memory each."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.kernels.launch import row_kernel
from model.kernels.numbers_kernels import FLOAT32, floats, halves, loops, narrowed, share, sigmoid, widened


@loops
def gated_line(gates: Any, ups: Any, y: Any) -> None:
    """`silu(gate) * up` of some features."""
    for i in range(y.shape[0]):
        gate = widened(gates[i])
        y[i] = narrowed(gate * sigmoid(gate) * widened(ups[i]), y[i])


@loops
def gated_rows(x: Any, y: Any, first: int, last: int) -> None:
    """`silu(gate) * up` of some rows."""
    n = y.shape[1]
    for row in range(first, last):
        gated_line(x[row, :n], x[row, n:], y[row])


@loops
def _backward(x: Any, gy: Any, gx: Any, first: int, last: int) -> None:
    n = gy.shape[1]
    for row in range(first, last):
        gates, ups, ggates, gups = x[row, :n], x[row, n:], gx[row, :n], gx[row, n:]
        for i in range(n):
            gate, gradient = widened(gates[i]), widened(gy[row, i])
            s = sigmoid(gate)
            gups[i] = narrowed(gradient * gate * s, gups[i])
            slope = s * (np.float32(1) + gate * (np.float32(1) - s))
            ggates[i] = narrowed(gradient * widened(ups[i]) * slope, ggates[i])


@row_kernel
def silu_gate_forward(a: Any) -> None:
    """Kind, features, gate and up (rows x 2 features), y."""
    first, last = share(a)
    if a[2] == FLOAT32:
        gated_rows(floats(a[4], (a[1], 2 * a[3])), floats(a[5], (a[1], a[3])), first, last)
    else:
        gated_rows(halves(a[4], (a[1], 2 * a[3])), halves(a[5], (a[1], a[3])), first, last)


@row_kernel
def silu_gate_backward(a: Any) -> None:
    """Kind, features, gate and up, gradient of y, gradient of gate and up."""
    first, last = share(a)
    wide, narrow = (a[1], 2 * a[3]), (a[1], a[3])
    if a[2] == FLOAT32:
        _backward(floats(a[4], wide), floats(a[5], narrow), floats(a[6], wide), first, last)
    else:
        _backward(halves(a[4], wide), halves(a[5], narrow), halves(a[6], wide), first, last)
