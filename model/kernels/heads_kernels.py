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
def _move(
    x: Any, cos: Any, sin: Any, q: Any, k: Any, v: Any, time: int, turned: int, back: int, first: int, last: int
) -> None:
    heads, kv_heads, size = q.shape[1], k.shape[1], q.shape[3]
    for row in range(first, last):
        batch, t = row // time, row % time
        c, s = cos[row % cos.shape[0]], sin[row % cos.shape[0]]
        for head in range(heads + 2 * kv_heads):
            if head < heads:
                place = q[batch, head, t]
            elif head < heads + kv_heads:
                place = k[batch, head - heads, t]
            else:
                place = v[batch, head - heads - kv_heads, t]
            features = x[row, head]
            source, target = (place, features) if back else (features, place)
            if turned and head < heads + kv_heads:
                turn(source, target, c, s, back)
            else:
                for i in range(size):
                    target[i] = source[i]


@row_kernel
def move_heads(a: Any) -> None:
    """Kind, time, heads, kv_heads, head size, turned, back, positions, cos, sin, features, queries, keys, values.

    Rows are tokens of the batch. `positions` is how many rows the tables have; they repeat. `back` is the way from
    heads to features, turns undone.
    """
    first, last = share(a)
    time, heads, kv_heads, size, turned, back = a[3], a[4], a[5], a[6], a[7], a[8]
    batch, flat = a[1] // time, (a[1], heads + 2 * kv_heads, size)
    many, few, table = (batch, heads, time, size), (batch, kv_heads, time, size), (a[9], size)
    if a[2] == FLOAT32:
        cos, sin = floats(a[10], table), floats(a[11], table)
        q, k, v = floats(a[13], many), floats(a[14], few), floats(a[15], few)
        _move(floats(a[12], flat), cos, sin, q, k, v, time, turned, back, first, last)
    else:
        cos16, sin16 = halves(a[10], table), halves(a[11], table)
        q16, k16, v16 = halves(a[13], many), halves(a[14], few), halves(a[15], few)
        _move(halves(a[12], flat), cos16, sin16, q16, k16, v16, time, turned, back, first, last)
