"""MinHash signatures: some hundred bytes per document from which the similarity of any two can be estimated.

Method: fast similarity sketching (Dahlgaard, Knudsen, Thorup: FOCS 2017). Every shingle's hash names one of k bins and
a value, and a bin keeps its smallest value, as in one-permutation hashing (Li, Owen, Zhang 2012): one multiplication
per shingle instead of k. Bins that stay empty, which happens in short documents, are filled by further rounds with
other hash functions, at most k of them, then bin by bin. So a pair agrees in each bin with probability J without bias,
and the estimate is concentrated as with k independent permutations. Densification (Shrivastava 2017) would copy values
of full bins into empty ones instead; it is cheaper in short documents, but their bins are then copies of each other,
which costs the bands recall exactly there. Rounds end after O(k log k) draws, so that the cost of a document of n
words is O(n + k log k).

Of each value only the lowest 8 bits are kept (b-bit minwise hashing; Li, König 2010): two unrelated values agree with
probability 1/256, which `estimate` takes out. A document costs 120 bytes at 120 values. Differences to the papers: the
rounds' hashes are SplitMix64's mixer with another key per round, not tabulation.
"""

from __future__ import annotations

import numpy as np

from model.corpus.near_duplicates.banding import banding
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.shingles import Shingles, shingles
from model.corpus.near_duplicates.signature_kernels import fill_signatures
from model.corpus.near_duplicates.words import CodePoints


def signatures(texts: CodePoints, config: NearDuplicatesConfig) -> np.ndarray:
    """The signatures of texts.

    Args:
        texts: Their code points: a `segmentation.Segmented`, or `words.characters_of(strings)`.
        config: Values, threshold and shingle length.

    Returns:
        (n_texts, `signature_columns(config)`) uint32: the values packed, 4 (or 2) to a number. They can be written to
        a file and opened with `np.memmap`.
    """
    return signatures_of(shingles(texts, config.shingle_words), config)


def signatures_of(texts: Shingles, config: NearDuplicatesConfig) -> np.ndarray:
    """The signatures of texts from their shingles; see `signatures`."""
    dtype = np.uint8 if banding(config.threshold, config.signature_values).value_bits == 8 else np.uint16
    filled = np.empty((len(texts.starts) - 1, config.signature_values), dtype)
    fill_signatures(texts.hashes, texts.starts, filled)
    return filled.view(np.uint32)


def signature_columns(config: NearDuplicatesConfig) -> int:
    """How many uint32 numbers a signature has."""
    return config.signature_values * banding(config.threshold, config.signature_values).value_bits // 32


def unpacked(packed: np.ndarray, config: NearDuplicatesConfig) -> np.ndarray:
    """(n, signature_values) uint8 or uint16 view of packed signatures; no copy, also of a memory-mapped file."""
    bits = banding(config.threshold, config.signature_values).value_bits
    return packed.view(np.uint8 if bits == 8 else np.uint16)


def estimate(matches: int | np.ndarray, config: NearDuplicatesConfig) -> float | np.ndarray:
    """The Jaccard similarity from the number of equal values, without bias; below 0 where chance equals are missing."""
    by_chance = 0.5 ** banding(config.threshold, config.signature_values).value_bits
    return (matches / config.signature_values - by_chance) / (1 - by_chance)
