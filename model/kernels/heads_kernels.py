"""From features to heads and back, turned by their positions on the way, in one pass over memory each.

A row is a token: queries, keys and values of all heads, side by side. The other side has a block of memory for each
head: (batch, heads, time, head size).
"""

from __future__ import annotations

from typing import Any

from model.kernels.launch import row_kernel
from model.kernels.numbers_kernels import FLOAT32, floats, halves, loops, share
from model.kernels.turn_kernels import turn


@loops
def _split(x: Any, cos: Any, sin: Any, q: Any, k: Any, v: Any, time: int, turned: int, first: int, last: int) -> None:
    heads, kv_heads, size = q.shape[1], k.shape[1], q.shape[3]
    for row in range(first, last):
        batch, t = row // time, row % time
        c, s = cos[row % cos.shape[0]], sin[row % cos.shape[0]]
        for head in range(heads + 2 * kv_heads):
            part = x[row, head]
            if head < heads:
                out = q[batch, head, t]
            elif head < heads + kv_heads:
                out = k[batch, head - heads, t]
            else:
                out = v[batch, head - heads - kv_heads, t]
            if turned and head < heads + kv_heads:
                turn(part, out, c, s, False)
            else:
                for i in range(size):
                    out[i] = part[i]


@loops
def _join(x: Any, cos: Any, sin: Any, q: Any, k: Any, v: Any, time: int, turned: int, first: int, last: int) -> None:
    heads, kv_heads, size = q.shape[1], k.shape[1], q.shape[3]
    for row in range(first, last):
        batch, t = row // time, row % time
        c, s = cos[row % cos.shape[0]], sin[row % cos.shape[0]]
        for head in range(heads + 2 * kv_heads):
            out = x[row, head]
            if head < heads:
                part = q[batch, head, t]
            elif head < heads + kv_heads:
                part = k[batch, head - heads, t]
            else:
                part = v[batch, head - heads - kv_heads, t]
            if turned and head < heads + kv_heads:
                turn(part, out, c, s, True)
            else:
                for i in range(size):
                    out[i] = part[i]


@row_kernel
def split_heads(a: Any) -> None:
    """Kind, time, heads, kv_heads, head size, turned, positions, cos, sin, features, queries, keys, values.

    Rows are tokens of the batch. `positions` is how many rows the tables have; they repeat.
    """
    first, last = share(a)
    time, heads, kv_heads, size, turned = a[3], a[4], a[5], a[6], a[7]
    batch, flat = a[1] // time, (a[1], heads + 2 * kv_heads, size)
    many, few, table = (batch, heads, time, size), (batch, kv_heads, time, size), (a[8], size)
    if a[2] == FLOAT32:
        cos, sin = floats(a[9], table), floats(a[10], table)
        q, k, v = floats(a[12], many), floats(a[13], few), floats(a[14], few)
        _split(floats(a[11], flat), cos, sin, q, k, v, time, turned, first, last)
    else:
        cos16, sin16 = halves(a[9], table), halves(a[10], table)
        q16, k16, v16 = halves(a[12], many), halves(a[13], few), halves(a[14], few)
        _split(halves(a[11], flat), cos16, sin16, q16, k16, v16, time, turned, first, last)


@row_kernel
def join_heads(a: Any) -> None:
    """The way back with turns undone, arguments as those of `split_heads`."""
    first, last = share(a)
    time, heads, kv_heads, size, turned = a[3], a[4], a[5], a[6], a[7]
    batch, flat = a[1] // time, (a[1], heads + 2 * kv_heads, size)
    many, few, table = (batch, heads, time, size), (batch, kv_heads, time, size), (a[8], size)
    if a[2] == FLOAT32:
        cos, sin = floats(a[9], table), floats(a[10], table)
        q, k, v = floats(a[12], many), floats(a[13], few), floats(a[14], few)
        _join(floats(a[11], flat), cos, sin, q, k, v, time, turned, first, last)
    else:
        cos16, sin16 = halves(a[9], table), halves(a[10], table)
        q16, k16, v16 = halves(a[12], many), halves(a[13], few), halves(a[14], few)
        _join(halves(a[11], flat), cos16, sin16, q16, k16, v16, time, turned, first, last)
