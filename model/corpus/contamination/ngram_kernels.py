"""The compiled loop that looks every run of words of a text up in an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import compiled, inlined
from model.corpus.near_duplicates.shingle_kernels import MULTIPLIER, mix


@compiled
def place_of(hashes: np.ndarray, value: Any) -> int:
    """Where a value stands in a sorted array; -1 if it does not."""
    low, high = 0, len(hashes)
    while low < high:
        middle = (low + high) >> 1
        if hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < len(hashes) and hashes[low] == value else -1


@inlined
def three_bits(value: Any) -> Any:
    """Three of 64 bits, drawn by the upper half of a hash."""
    one = np.uint64(1)
    first, second, third = value >> np.uint64(58), value >> np.uint64(52), value >> np.uint64(46)
    low = np.uint64(63)
    return one << (first & low) | one << (second & low) | one << (third & low)


@compiled
def mark(hashes: np.ndarray, filter_words: np.ndarray) -> None:
    """Enter all hashes into a Bloom filter of one word each (Putze, Sanders, Singler 2007); (2^k,) uint64."""
    mask = np.uint64(len(filter_words) - 1)
    for value in hashes:
        filter_words[np.int64(value & mask)] |= three_bits(value)


@inlined
def may_hold(filter_words: np.ndarray, value: Any) -> bool:
    """Whether a hash may have been entered by `mark`; one that was not is refused in 99 of 100 cases."""
    bits = three_bits(value)
    held: bool = filter_words[np.int64(value & np.uint64(len(filter_words) - 1))] & bits == bits
    return held


@compiled
def find_short(
    words: np.ndarray, first: int, end: int, widths: np.ndarray, hashes: np.ndarray, hits: np.ndarray, text: int,
    place: int, n: int,
) -> int:  # fmt: skip
    """Look for whole short items that begin at one word; returns how many hits there are now."""
    for width in widths:
        if first + width > end:
            break
        rolling = np.uint64(0)
        for k in range(first, first + width):
            rolling = rolling * MULTIPLIER + words[k]
        found = place_of(hashes, mix(rolling))
        if found >= 0:
            hits[n, 0], hits[n, 1], hits[n, 2] = text, place, found
            n += 1
    return n


@compiled
def find_ngrams(
    words: np.ndarray, starts: np.ndarray, n_words: int, hashes: np.ndarray, filter_words: np.ndarray,
    short_widths: np.ndarray, prefix_words: int, prefix_filter: np.ndarray, hits: np.ndarray,
) -> int:  # fmt: skip
    """Find all runs of words that an index holds.

    Args:
        words: (n,) uint64 hashes of words.
        starts: (n_texts + 1,) int64.
        n_words: Words in a run.
        hashes: (m,) uint64, sorted: the index.
        filter_words: (2^k,) uint64, from `mark` of the runs; most are refused by one look at it.
        short_widths: (n_widths,) int64, ascending: lengths of items that are shorter than a run.
        prefix_words: Shortest such length that there can be.
        prefix_filter: (2^k,) uint64, from `mark` of the first `prefix_words` words of these items.
        hits: (n * (n_widths + 1), 3) int64, filled with text, first word's place in the text, place in `hashes`.

    Returns:
        How many were found.
    """
    n = 0
    for text in range(len(starts) - 1):
        begin, end = starts[text], starts[text + 1]
        for turn in range(2 if len(short_widths) else 1):
            width = prefix_words if turn else n_words
            oldest = np.uint64(1)
            for _ in range(width - 1):
                oldest *= MULTIPLIER
            rolling = np.uint64(0)
            for k in range(begin, min(begin + width - 1, end)):
                rolling = rolling * MULTIPLIER + words[k]
            for k in range(begin + width - 1, end):
                first = k - width + 1
                rolling = rolling * MULTIPLIER + words[k]
                value = mix(rolling)
                if turn == 0:
                    if may_hold(filter_words, value):
                        place = place_of(hashes, value)
                        if place >= 0:
                            hits[n, 0], hits[n, 1], hits[n, 2] = text, first - begin, place
                            n += 1
                elif may_hold(prefix_filter, value):
                    n = find_short(words, first, end, short_widths, hashes, hits, text, first - begin, n)
                rolling -= oldest * words[first]  # so that the next word completes the next run
    return n
