"""Bring the embeddings of two languages into one space, and measure how well that went.

A seed dictionary of word pairs gives the rotation between two spaces in closed form (orthogonal Procrustes: Schönemann
1966; for words Smith et al. 2017, "Offline bilingual word vectors, orthogonal transformations and the inverted
softmax", arXiv:1702.03859). Retrieval by CSLS keeps a few words from being everybody's neighbour (Conneau et al. 2018,
"Word Translation Without Parallel Data", arXiv:1710.04087, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError

Floats = npt.NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]
Score = Literal["cosine", "csls"]
SCORES: tuple[Score, ...] = ("cosine", "csls")
SIMILARITIES_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Retrieval:
    """How often the right translation is found among the nearest words.

    Attributes:
        precision_at_1: Share of queries whose nearest target word is a right one.
        precision_at_5: Share of queries with a right one among the nearest five.
        n_queries: Different source words asked for.
    """

    precision_at_1: float
    precision_at_5: float
    n_queries: int


def normalized(vectors_ND: npt.NDArray[np.floating], *, centred: bool = True) -> Floats:
    """Rows of length 1, the mean of all rows taken off first (Artetxe et al. 2016); a zero row stays zero."""
    rows = np.asarray(vectors_ND, np.float64)
    for centre in (False, True) if centred else (False,):
        if centre:
            rows = rows - rows.mean(0)
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows


def procrustes(source_ND: Floats, target_ND: Floats) -> Floats:
    """The orthogonal matrix W (d, d) that brings `source @ W` nearest to `target`, row by row.

    Args:
        source_ND: (n, d), row i is the word whose translation is row i of the target.
        target_ND: (n, d).

    Raises:
        TokenizerError: The shapes differ, or there is no pair.
    """
    if source_ND.shape != target_ND.shape or not len(source_ND):
        raise TokenizerError(
            f"alignment: pairs of shapes {source_ND.shape} and {target_ND.shape}, expected equal ones with rows"
        )
    left, _, right = np.linalg.svd(source_ND.T @ target_ND)
    return np.asarray(left @ right)


def align(source_ND: Floats, target_MD: Floats, seed_pairs: Pairs) -> Floats:
    """All source vectors rotated into the space of the target, learned from the seed pairs (source row, target row).

    Both sides should be `normalized`. Distances between source words do not change.
    """
    if not seed_pairs:
        raise TokenizerError("alignment: no pair in the seed dictionary, expected 1 or more")
    first, second = np.array(seed_pairs, np.int64).T
    return np.asarray(source_ND @ procrustes(source_ND[first], target_MD[second]))


def refine(source_ND: Floats, target_MD: Floats, seed_pairs: Pairs, n_rounds: int = 5) -> Floats:
    """`align`, then again with the pairs that are each other's nearest by CSLS, a few times (Conneau et al. 2018)."""
    rotated = align(source_ND, target_MD, seed_pairs)
    for _ in range(n_rounds):
        there = nearest(rotated, target_MD, np.arange(len(rotated)), 1)[:, 0]
        back = nearest(target_MD, rotated, np.arange(len(target_MD)), 1)[:, 0]
        mutual = np.flatnonzero(back[there] == np.arange(len(there)))
        pairs = [*seed_pairs, *zip(mutual.tolist(), there[mutual].tolist(), strict=True)]
        rotated = align(source_ND, target_MD, pairs)
    return rotated


def nearest(
    source_ND: Floats,
    target_MD: Floats,
    rows: npt.NDArray[np.int64],
    n: int,
    score: Score = "csls",
    n_neighbours: int = 10,
) -> npt.NDArray[np.int64]:
    """The `n` nearest target rows of some source rows, nearest first: (len(rows), n).

    Args:
        source_ND: Aligned, rows of length 1.
        target_MD: Rows of length 1.
        rows: Which source rows to ask for.
        n: How many answers.
        score: Cosine, or CSLS: twice the cosine less the mean cosine of both words to their nearest neighbours.
        n_neighbours: The neighbours of CSLS.
    """
    penalty = _mean_similarity(target_MD, source_ND, n_neighbours) if score == "csls" else np.zeros(len(target_MD))
    found = np.empty((len(rows), n), np.int64)
    step = max(1, SIMILARITIES_AT_ONCE // len(target_MD))
    for start in range(0, len(rows), step):
        # a query's own mean similarity is the same for all its answers, so it orders nothing
        distance = penalty - 2 * (source_ND[rows[start : start + step]] @ target_MD.T)
        best = np.sort(np.argpartition(distance, n - 1, axis=1)[:, :n], axis=1)
        order = np.argsort(np.take_along_axis(distance, best, 1), axis=1, kind="stable")
        found[start : start + len(distance)] = np.take_along_axis(best, order, 1)
    return found


def _mean_similarity(of: Floats, to: Floats, n: int) -> Floats:
    """Mean cosine of each row of `of` to its `n` nearest rows of `to`."""
    n = min(n, len(to))
    means = np.empty(len(of))
    step = max(1, SIMILARITIES_AT_ONCE // len(to))
    for start in range(0, len(of), step):
        similarity = of[start : start + step] @ to.T
        means[start : start + len(similarity)] = np.partition(similarity, -n, axis=1)[:, -n:].mean(1)
    return means


def retrieval(aligned_ND: Floats, target_MD: Floats, pairs: Pairs, score: Score = "csls") -> Retrieval:
    """Precision of retrieval on pairs that were not in the seed dictionary; a word may have several right answers.

    Raises:
        TokenizerError: There is no pair.
    """
    right: dict[int, set[int]] = {}
    for source, target in pairs:
        right.setdefault(source, set()).add(target)
    if not right:
        raise TokenizerError("alignment: no pair to measure with, expected 1 or more")
    queries = np.array(sorted(right), np.int64)
    answers = nearest(aligned_ND, target_MD, queries, min(5, len(target_MD)), score)
    hits = [[answer in right[query] for answer in row] for query, row in zip(queries.tolist(), answers, strict=True)]
    return Retrieval(sum(row[0] for row in hits) / len(hits), sum(any(row) for row in hits) / len(hits), len(hits))
