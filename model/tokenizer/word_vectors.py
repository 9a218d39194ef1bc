"""Small word vectors from co-occurrence counts: PPMI and a truncated singular value decomposition.

Levy, Goldberg and Dagan 2015, "Improving Distributional Similarity with Lessons Learned from Word Embeddings": context
counts to the power 0.75, singular values to the power 0.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SMOOTHING = 0.75


def cooccurrences(sequences: Sequence[npt.ArrayLike], n_items: int, window: int) -> npt.NDArray[np.float64]:
    """How often items stand within `window` of each other, symmetric: (n_items, n_items).

    Args:
        sequences: Items (word or token numbers) in order; nothing is counted across sequences. Negative items are
            skipped but keep their place.
        n_items: Numbers are below it.
        window: Longest distance counted.
    """
    counts = np.zeros((n_items, n_items))
    for sequence in sequences:
        items = np.asarray(sequence, np.int64)
        for distance in range(1, window + 1):
            first, second = items[:-distance], items[distance:]
            both = (first >= 0) & (second >= 0)
            np.add.at(counts, (first[both], second[both]), 1)
    return counts + counts.T


def ppmi(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positive pointwise mutual information of co-occurrence counts, contexts smoothed."""
    context = counts.sum(0) ** SMOOTHING
    expected = counts.sum(1)[:, None] * (context / max(context.sum(), 1e-300))[None]
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts / expected)
    return np.where(counts > 0, np.maximum(information, 0), 0)


def word_vectors(counts: npt.NDArray[np.float64], n_features: int) -> npt.NDArray[np.float64]:
    """Vectors (n_items, n_features) of items; each feature's largest entry is positive, so the result is one."""
    left, values, _ = np.linalg.svd(ppmi(counts), full_matrices=False)
    vectors = left[:, :n_features] * np.sqrt(values[:n_features])
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    return np.asarray(vectors * np.where(signs == 0, 1, signs))


def vocabulary(texts: Sequence[Sequence[str]], n_words: int) -> list[str]:
    """The most frequent words, ties in the order of the words."""
    counts = Counter(word for text in texts for word in text)
    return sorted(counts, key=lambda word: (-counts[word], word))[:n_words]
