"""`x W^T` for a few rows of x: every weight is read once, at the speed of memory.

A matrix of float32, bfloat16 or int8 (with a scale for each output) is widened on the way; sums are float32. Products
of many rows belong to the libraries behind torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.kernels.launch import row_kernel
from model.kernels.numbers_kernels import (
    FLOAT32,
    bytes_of,
    floats,
    halves,
    inlined,
    loops,
    narrowed,
    share,
    sums,
    thread_number,
    widened,
)

INT8 = 2


@loops
def widen(x: Any, wide: Any) -> None:
    """Stored numbers as float32, (rows, n) both."""
    for m in range(x.shape[0]):
        for i in range(x.shape[1]):
            wide[m, i] = widened(x[m, i])


@sums
def _dot(x: Any, line: Any) -> Any:
    total = np.float32(0)
    for i in range(x.shape[0]):
        total += x[i] * widened(line[i])
    return total


@sums
def _dot_of_integers(x: Any, line: Any) -> Any:
    total = np.float32(0)
    for i in range(x.shape[0]):
        total += x[i] * np.float32(line[i])
    return total


@loops
def _product(wide: Any, weight: Any, y: Any, first: int, last: int) -> None:
    for out in range(first, last):
        line = weight[out]
        for m in range(wide.shape[0]):
            y[m, out] = narrowed(_dot(wide[m], line), y[m, out])


@loops
def _scaled_product(wide: Any, weight: Any, scale: Any, y: Any, first: int, last: int) -> None:
    for out in range(first, last):
        line = weight[out]
        for m in range(wide.shape[0]):
            y[m, out] = narrowed(_dot_of_integers(wide[m], line) * scale[out], y[m, out])


@inlined
def product_of(kind: int, wide: Any, weight: int, scale: int, y: Any, first: int, last: int) -> None:
    """Some outputs of `x W^T` for all rows of float32 x, with the weight (and the scale of int8) at an address."""
    outputs = y.shape[1]
    shape = (outputs, wide.shape[1])
    if kind == FLOAT32:
        _product(wide, floats(weight, shape), y, first, last)
    elif kind == INT8:
        _scaled_product(wide, bytes_of(weight, shape), floats(scale, outputs), y, first, last)
    else:
        _product(wide, halves(weight, shape), y, first, last)


@row_kernel
def few_rows_product(a: Any) -> None:
    """Kind of x and y, kind of the weight, x's rows, features, x, weight, scale (int8), y, space (threads x rows x n).

    Rows of the kernel are those of the weight.
    """
    first, last = share(a)
    flat, outputs = (a[4], a[5]), (a[4], a[1])
    wide = floats(a[10], (a[0], a[4], a[5]))[thread_number()]
    if a[2] == FLOAT32:
        widen(floats(a[6], flat), wide)
        product_of(a[3], wide, a[7], a[8], floats(a[9], outputs), first, last)
    else:
        widen(halves(a[6], flat), wide)
        product_of(a[3], wide, a[7], a[8], halves(a[9], outputs), first, last)
