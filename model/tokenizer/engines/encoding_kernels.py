# ruff: noqa: PLR0912, PLR0915  (one loop, compiled as one: calls that pass arrays cost more than they tidy)
"""Byte-level BPE encoding: words by `word_kernels`, each word's ids remembered in a table of one cache line a word.

A record of the table is eight 64-bit numbers: up to 32 bytes of the word in four of them, then its length and how many
ids it has, then up to six ids (or where they are in `spilled`). Longer words are merged anew each time.
"""

from __future__ import annotations

import numpy as np

from model.compiled import compiled
from model.tokenizer.engines.word_kernels import GPT2, word_end_gpt2, word_end_gpt4

CACHED_BYTES = 32
INLINE_IDS = 6
LONG_WORD = 96
"""From here on merges are found by a heap instead of by looking through the word."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_PAIR_MIX = np.int64(-7046029254386353131)
NO_MERGE = np.int64(0x7FFFFFFFFFFFFFFF)


@compiled
def eight_bytes(quads, at):  # type: ignore[no-untyped-def]
    """The 8 bytes from byte `at` on as one number; `quads` is the text as (n,) uint64."""
    index = at >> 3
    shift = np.uint64((at & 7) << 3)
    if shift == 0:
        return quads[index]
    return (quads[index] >> shift) | (quads[index + 1] << (np.uint64(64) - shift))


@compiled
def eight_bytes_at_most(quads, at, length):  # type: ignore[no-untyped-def]
    """The same with zeros for the bytes from `length` on."""
    if length <= 0:
        return np.uint64(0)
    value = eight_bytes(quads, at)
    if length >= 8:
        return value
    return value & ((np.uint64(1) << np.uint64(length << 3)) - np.uint64(1))


@compiled
def merge_of(merges, left, right):  # type: ignore[no-untyped-def]
    """Rank and result of merging two ids, rank << 32 | id, or `NO_MERGE`; `merges` is (power of two, 2)."""
    key = (np.int64(left) << 32) | np.int64(right)
    mask = merges.shape[0] - 1
    mixed = key * _PAIR_MIX
    slot = (mixed ^ (mixed >> 32)) & mask
    while merges[slot, 0] != key + 1:
        if merges[slot, 0] == 0:
            return NO_MERGE
        slot = (slot + 1) & mask
    return merges[slot, 1]


@compiled
def enter_merges(merges, pairs):  # type: ignore[no-untyped-def]
    """Fill an empty table from (n, 3) int32 rows left, right, result, in the order of their ranks."""
    mask = merges.shape[0] - 1
    for rank in range(pairs.shape[0]):
        key = (np.int64(pairs[rank, 0]) << 32) | np.int64(pairs[rank, 1])
        mixed = key * _PAIR_MIX
        slot = (mixed ^ (mixed >> 32)) & mask
        while merges[slot, 0] != 0 and merges[slot, 0] != key + 1:
            slot = (slot + 1) & mask
        merges[slot, 0] = key + 1
        merges[slot, 1] = (np.int64(rank) << 32) | np.int64(pairs[rank, 2])


@compiled
def merge_short(ids, length, merges, found):  # type: ignore[no-untyped-def]
    """Merge the ids of a short word in place, the lowest rank first and of equals the leftmost; their new number."""
    for at in range(length - 1):
        found[at] = merge_of(merges, ids[at], ids[at + 1])
    while length > 1:
        best = NO_MERGE
        place = -1
        for at in range(length - 1):
            if found[at] < best:
                best = found[at]
                place = at
        if place < 0:
            return length
        ids[place] = best & 0xFFFFFFFF
        length -= 1
        for at in range(place + 1, length):
            ids[at] = ids[at + 1]
            found[at] = found[at + 1]
        if place > 0:
            found[place - 1] = merge_of(merges, ids[place - 1], ids[place])
        if place < length - 1:
            found[place] = merge_of(merges, ids[place], ids[place + 1])
    return length


@compiled
def heap_push(heap, size, rank, at):  # type: ignore[no-untyped-def]
    """Add (rank, at) to a heap of which the smallest is on top; `heap` is (capacity, 2) int64."""
    while size > 0:
        parent = (size - 1) >> 1
        if heap[parent, 0] < rank or (heap[parent, 0] == rank and heap[parent, 1] <= at):
            break
        heap[size, 0], heap[size, 1] = heap[parent, 0], heap[parent, 1]
        size = parent
    heap[size, 0], heap[size, 1] = rank, at


@compiled
def heap_pop(heap, size):  # type: ignore[no-untyped-def]
    """Take the top off a heap of `size` rows."""
    rank, at = heap[size - 1, 0], heap[size - 1, 1]
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size - 1:
            break
        other = child + 1
        if other < size - 1 and (
            heap[other, 0] < heap[child, 0] or (heap[other, 0] == heap[child, 0] and heap[other, 1] < heap[child, 1])
        ):
            child = other
        if rank < heap[child, 0] or (rank == heap[child, 0] and at <= heap[child, 1]):
            break
        heap[hole, 0], heap[hole, 1] = heap[child, 0], heap[child, 1]
        hole = child
    heap[hole, 0], heap[hole, 1] = rank, at


@compiled
def merge_long(ids, length, merges):  # type: ignore[no-untyped-def]
    """The same for a word of any length, in time n log n."""
    following = np.empty(length, np.int64)
    previous = np.empty(length, np.int64)
    heap = np.empty((3 * length, 2), np.int64)
    size = 0
    for at in range(length):
        following[at], previous[at] = at + 1, at - 1
        if at + 1 < length:
            found = merge_of(merges, ids[at], ids[at + 1])
            if found != NO_MERGE:
                heap_push(heap, size, found, at)
                size += 1
    while size > 0:
        found, at = heap[0, 0], heap[0, 1]
        heap_pop(heap, size)
        size -= 1
        after = following[at]
        if previous[at] == -2 or after >= length or merge_of(merges, ids[at], ids[after]) != found:
            continue
        ids[at] = found & 0xFFFFFFFF
        previous[after] = -2  # gone
        following[at] = following[after]
        if following[at] < length:
            previous[following[at]] = at
            found = merge_of(merges, ids[at], ids[following[at]])
            if found != NO_MERGE:
                heap_push(heap, size, found, at)
                size += 1
        if previous[at] >= 0:
            found = merge_of(merges, ids[previous[at]], ids[at])
            if found != NO_MERGE:
                heap_push(heap, size, found, previous[at])
                size += 1
    kept = 0
    at = 0
    while at < length:
        ids[kept] = ids[at]
        kept += 1
        at = following[at]
    return kept


@compiled
def merge_word(data, at, length, byte_ids, merges, out, written, found):  # type: ignore[no-untyped-def]
    """Write the ids of the word of `length` bytes at `at` to `out` from `written` on; how many they are."""
    for index in range(length):
        out[written + index] = byte_ids[data[at + index]]
    if length < LONG_WORD:
        return merge_short(out[written : written + length], length, merges, found)
    return merge_long(out[written : written + length], length, merges)


@compiled
def encode_texts(  # type: ignore[no-untyped-def]
    data, quads, ends, cursor, classes, rule, byte_ids, merges, table, spilled, out, out_ends
):
    """Encode texts that lie end to end, until the table of words is half full.

    Args:
        data: (n_bytes + 40 or more,) uint8: UTF-8 of all texts, then zeros.
        quads: The same memory as uint64.
        ends: (n_texts,) int64, where each text ends.
        cursor: (5,) int64: text, byte, ids written, words in the table, ids in `spilled`; read and updated.
        classes: (0x110000,) uint8, see `character_classes`.
        rule: `GPT2` or `GPT4` of `word_kernels`.
        byte_ids: (256,) uint32, the id of each byte.
        merges: (power of two, 2) int64, see `enter_merges`.
        table: (power of two, 8) uint64, the words known; changed.
        spilled: (capacity,) uint32, ids of words that have more than six; changed.
        out: (n_bytes,) uint32, receives the ids.
        out_ends: (n_texts,) int64, receives where the ids of each text end.

    Returns:
        True when all texts are encoded, False when the table has to be replaced first.
    """
    mask = table.shape[0] - 1
    limit = table.shape[0] // 2
    text, at, written, n_words, n_spilled = cursor[0], cursor[1], cursor[2], cursor[3], cursor[4]
    found = np.empty(LONG_WORD, np.int64)
    while text < ends.shape[0]:
        end = ends[text]
        while at < end:
            stop = word_end_gpt2(data, at, end, classes) if rule == GPT2 else word_end_gpt4(data, at, end, classes)
            length = stop - at
            if length > CACHED_BYTES:
                written += merge_word(data, at, length, byte_ids, merges, out, written, found)
                at = stop
                continue
            first = eight_bytes_at_most(quads, at, length)
            key = first * _MIX
            second = third = fourth = np.uint64(0)
            if length > 8:
                second = eight_bytes_at_most(quads, at + 8, length - 8)
                third = eight_bytes_at_most(quads, at + 16, length - 16)
                fourth = eight_bytes_at_most(quads, at + 24, length - 24)
                key = (((key ^ second) * _MIX ^ third) * _MIX ^ fourth) * _MIX
            slot = np.int64((key ^ (key >> np.uint64(32))) & np.uint64(0x7FFFFFFF)) & mask
            while True:
                size = np.int64(table[slot, 4])
                if size == 0:
                    if n_words >= limit or n_spilled + CACHED_BYTES > spilled.shape[0]:
                        cursor[0], cursor[1], cursor[2] = text, at, written
                        return False
                    n_ids = merge_word(data, at, length, byte_ids, merges, out, written, found)
                    table[slot, 0], table[slot, 1], table[slot, 2], table[slot, 3] = first, second, third, fourth
                    table[slot, 4] = np.uint64((n_ids << 8) | length)
                    if n_ids <= INLINE_IDS:
                        for index in range(n_ids):
                            place = 5 + (index >> 1)
                            table[slot, place] |= np.uint64(out[written + index]) << np.uint64((index & 1) << 5)
                    else:
                        table[slot, 5] = np.uint64(n_spilled)
                        for index in range(n_ids):
                            spilled[n_spilled + index] = out[written + index]
                        n_spilled += n_ids
                    n_words += 1
                    written += n_ids
                    break
                if (
                    table[slot, 0] == first and (size & 0xFF) == length
                    and table[slot, 1] == second and table[slot, 2] == third and table[slot, 3] == fourth
                ):  # fmt: skip
                    n_ids = size >> 8
                    if n_ids <= INLINE_IDS:
                        value = table[slot, 5]
                        out[written] = np.uint32(value & np.uint64(0xFFFFFFFF))
                        if n_ids > 1:
                            out[written + 1] = np.uint32(value >> np.uint64(32))
                            for index in range(2, n_ids):
                                value = table[slot, 5 + (index >> 1)] >> np.uint64((index & 1) << 5)
                                out[written + index] = np.uint32(value & np.uint64(0xFFFFFFFF))
                    else:
                        start = np.int64(table[slot, 5])
                        for index in range(n_ids):
                            out[written + index] = spilled[start + index]
                    written += n_ids
                    break
                slot = (slot + 1) & mask
            at = stop
        out_ends[text] = written
        text += 1
    cursor[0], cursor[1], cursor[2], cursor[3], cursor[4] = text, at, written, n_words, n_spilled
    return True
