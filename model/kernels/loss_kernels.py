"""Cross-entropy of rows of logits, which become their own gradient in place."""

from __future__ import annotations

import math
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
    widened,
)


@sums
def _sums(line: Any, largest: Any) -> Any:
    """The sum of a row of logits, and of their exponentials."""
    plain, total = np.float32(0), np.float32(0)
    for i in range(line.shape[0]):
        v = widened(line[i])
        plain += v
        total += exponential(v - largest)
    return plain, total


@loops
def _cross_entropy(
    logits: Any, targets: Any, losses: Any, smoothing: Any, z_weight: Any, factor: Any, first: int, last: int
) -> None:
    n = logits.shape[1]
    spread = smoothing / np.float32(n)
    for row in range(first, last):
        line, target = logits[row], targets[row]
        largest = largest_of(line)
        plain, total = _sums(line, largest)
        log_sum = largest + np.float32(math.log(total))
        wanted = widened(line[target])
        losses[row] = log_sum + z_weight * log_sum * log_sum - (np.float32(1) - smoothing) * wanted - spread * plain
        slope = (np.float32(1) + np.float32(2) * z_weight * log_sum) / total
        at_target = ((slope * exponential(wanted - largest)) - spread - (np.float32(1) - smoothing)) * factor
        for i in range(n):
            line[i] = narrowed((slope * exponential(widened(line[i]) - largest) - spread) * factor, line[i])
        line[target] = narrowed(at_target, line[target])


@row_kernel
def cross_entropy(a: Any) -> None:
    """Kind, vocabulary, smoothing, z weight, factor of the gradient, logits, targets (int64), losses (float32)."""
    first, last = share(a)
    shape = (a[1], a[3])
    smoothing, z_weight, factor = np.float32(double_of(a[4])), np.float32(double_of(a[5])), np.float32(double_of(a[6]))
    targets, losses = integers(a[8], a[1]), floats(a[9], a[1])
    if a[2] == FLOAT32:
        _cross_entropy(floats(a[7], shape), targets, losses, smoothing, z_weight, factor, first, last)
    else:
        _cross_entropy(halves(a[7], shape), targets, losses, smoothing, z_weight, factor, first, last)
