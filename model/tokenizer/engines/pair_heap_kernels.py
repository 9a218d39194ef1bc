"""The hash table of pairs and the heap of candidates that `bpe_training_kernels.py` works on."""

from __future__ import annotations

import numpy as np

from model.compiled import compiled

KEY_BITS = np.int64(32)
MIX = np.int64(-7046029254386353131)


@compiled
def pair_slot(table, key):  # type: ignore[no-untyped-def]
    """Row of `table` with this key, or the empty row where it belongs; `table` is (power of two, 2): key + 1, count."""
    mask = table.shape[0] - 1
    mixed = key * MIX
    slot = (mixed ^ (mixed >> 32)) & mask
    while table[slot, 0] != key + 1 and table[slot, 0] != 0:
        slot = (slot + 1) & mask
    return slot


@compiled
def with_room(table, n_used, n_more):  # type: ignore[no-untyped-def]
    """The table itself if `n_more` keys fit below a load of one half, else a larger one with the same rows."""
    size = table.shape[0]
    if (n_used + n_more) * 2 <= size:
        return table
    while (n_used + n_more) * 2 > size:
        size *= 2
    larger = np.zeros((size, 2), np.int64)
    for row in range(table.shape[0]):
        if table[row, 0]:
            slot = pair_slot(larger, table[row, 0] - 1)
            larger[slot, 0] = table[row, 0]
            larger[slot, 1] = table[row, 1]
    return larger


@compiled
def before(heap, one, other):  # type: ignore[no-untyped-def]
    """Whether row `one` comes before row `other`; rows are count, pair, entry. A negative count is a huge one (u64)."""
    if heap[one, 0] != heap[other, 0]:
        if (heap[one, 0] < 0) != (heap[other, 0] < 0):
            return heap[one, 0] < 0
        return heap[one, 0] > heap[other, 0]
    return heap[one, 1] < heap[other, 1]


@compiled
def swap(heap, one, other):  # type: ignore[no-untyped-def]
    """Exchange two rows."""
    for column in range(3):
        heap[one, column], heap[other, column] = heap[other, column], heap[one, column]


@compiled
def sift_up(heap, at):  # type: ignore[no-untyped-def]
    """Move a row up to where its parent comes before it."""
    while at > 0:
        parent = (at - 1) >> 2
        if not before(heap, at, parent):
            return
        swap(heap, at, parent)
        at = parent


@compiled
def sift_down(heap, at, size):  # type: ignore[no-untyped-def]
    """Move a row down to where it comes before its four children."""
    while True:
        first = 4 * at + 1
        if first >= size:
            return
        best = first
        for child in range(first + 1, min(first + 4, size)):
            if before(heap, child, best):
                best = child
        if not before(heap, best, at):
            return
        swap(heap, at, best)
        at = best


@compiled
def pair_key(left, right):  # type: ignore[no-untyped-def]
    """A pair of ids as one number that sorts like the pair."""
    return (np.int64(left) << KEY_BITS) | np.int64(right)
