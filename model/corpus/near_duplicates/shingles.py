"""The word shingles of texts as hashes: runs of neighbouring words, as `words.py` cuts them.

Two shingles are equal where their 64-bit hashes are. A text with fewer words than a shingle has one shingle of all its
words, so that it is a copy of equal word sequences only. A text of nothing but punctuation is compared by its
characters, and one without any visible character has no shingle: it is nobody's copy here (exact deduplication finds
equal ones).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.corpus.near_duplicates.shingle_kernels import window_hashes
from model.corpus.near_duplicates.words import CodePoints, Words, words_of


@dataclass(frozen=True, slots=True)
class Shingles:
    """Shingles of several texts, in their order, repetitions included.

    Attributes:
        hashes: (n_shingles,) uint64.
        starts: (n_texts + 1,) int64; the shingles of text i are `hashes[starts[i]:starts[i + 1]]`.
    """

    hashes: np.ndarray
    starts: np.ndarray


def shingles(texts: CodePoints, shingle_words: int) -> Shingles:
    """The shingles of texts."""
    return windows(words_of(texts), shingle_words)


def windows(words: Words, width: int) -> Shingles:
    """All runs of `width` neighbouring words; a text of fewer words has one, of all its words."""
    hashes, starts = np.empty(len(words.hashes), np.uint64), np.empty(len(words.starts), np.int64)
    n = window_hashes(words.hashes, words.starts, width, hashes, starts)
    return Shingles(hashes[:n], starts)
