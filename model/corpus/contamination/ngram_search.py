"""Looks every run of words of a text up in an index: the index is small and sorted, the text passes once.

In numpy, a batch of a million characters at a time: a compiled loop is a little faster over gigabytes, but takes three
seconds to compile, which is longer than a whole corpus of the default's size takes here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.corpus.near_duplicates.shingle_kernels import MULTIPLIER, mix
from model.corpus.near_duplicates.words import Words

_mixed: Any = mix.py_func  # type: ignore[attr-defined]  # the kernel's Python text works on whole arrays


def bloom_filter(hashes: np.ndarray) -> np.ndarray:
    """A Bloom filter of one word for each hash (Putze, Sanders, Singler 2007), with at most four hashes in a word.

    Returns:
        (2^k,) uint64.
    """
    filter_words = np.zeros(1 << max(10, (len(hashes) // 4).bit_length()), np.uint64)
    np.bitwise_or.at(filter_words, _word_of(filter_words, hashes), _three_bits(hashes))
    return filter_words


def find_runs(words: Words, n_words: int, hashes: np.ndarray, filter_words: np.ndarray) -> np.ndarray:
    """All runs of `n_words` words that an index holds.

    Args:
        words: Of several texts.
        n_words: Words in a run.
        hashes: (m,) uint64, sorted: the index.
        filter_words: From `bloom_filter` of these; most runs are refused by one look at it.

    Returns:
        (n_hits, 3) int64: text, first word's place in the text, place in `hashes`.
    """
    firsts, values = _possible(words.hashes, n_words, filter_words)
    return _hits(words, firsts, values, n_words, hashes)


def find_short(
    words: Words, widths: np.ndarray, hashes: np.ndarray, prefix_words: int, prefix_filter: np.ndarray
) -> np.ndarray:
    """All whole items shorter than a run; see `find_runs`.

    Args:
        words: Of several texts.
        widths: Lengths of the items, ascending.
        hashes: The index.
        prefix_words: Length of the shortest item that there can be.
        prefix_filter: From `bloom_filter` of the first `prefix_words` words of these items.
    """
    firsts, _ = _possible(words.hashes, prefix_words, prefix_filter)
    found = []
    for width in widths.tolist():
        begins = firsts[firsts + width <= len(words.hashes)]
        rolling = np.zeros(len(begins), np.uint64)
        for k in range(width):
            rolling = rolling * MULTIPLIER + words.hashes[begins + k]
        found.append(_hits(words, begins, _mixed(rolling), width, hashes))
    return np.concatenate(found)


def _possible(words: np.ndarray, width: int, filter_words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First words and hashes of the runs that a filter does not refuse, those over the end of a text included.

    The hash is the one of `window_hashes`, by Horner's rule over all runs at once.
    """
    n = max(len(words) - width + 1, 0)
    rolling = np.zeros(n, np.uint64)
    for k in range(width):
        rolling *= MULTIPLIER
        rolling += words[k : k + n]
    values = _mixed(rolling)
    bits = _three_bits(values)
    firsts = np.flatnonzero(filter_words[_word_of(filter_words, values)] & bits == bits)
    return firsts, values[firsts]


def _hits(words: Words, firsts: np.ndarray, values: np.ndarray, width: int, hashes: np.ndarray) -> np.ndarray:
    """Those of some runs that lie in one text and whose hashes are in the index."""
    places = np.minimum(np.searchsorted(hashes, values), len(hashes) - 1)
    after = np.searchsorted(words.starts, firsts, side="right")  # the text after the one that a run begins in
    is_hit = (hashes[places] == values) & (firsts + width <= words.starts[np.minimum(after, len(words.starts) - 1)])
    firsts, places, texts = firsts[is_hit], places[is_hit], after[is_hit] - 1
    return np.stack([texts, firsts - words.starts[texts], places], axis=1)


def _word_of(filter_words: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    return (hashes & np.uint64(len(filter_words) - 1)).astype(np.int64)


def _three_bits(hashes: np.ndarray) -> np.ndarray:
    """Three of 64 bits, drawn by the upper half of a hash."""
    one, low = np.uint64(1), np.uint64(63)
    first, second, third = hashes >> np.uint64(58), hashes >> np.uint64(52), hashes >> np.uint64(46)
    bits: np.ndarray = one << (first & low) | one << (second & low) | one << (third & low)
    return bits
