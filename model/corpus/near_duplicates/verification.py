"""Whether a candidate pair really is as similar as asked: by its signatures, and near the threshold by its shingles.

A signature of k values estimates a similarity J with the standard error sqrt(J (1 - J) / k). Pairs whose estimate is
`SURE_ERRORS` such errors above the threshold are accepted and pairs as far below it are refused (either is wrong for
one pair in a thousand *at* the threshold, hardly ever elsewhere); in between the shingle sets are compared.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from model.corpus.near_duplicates.banding import banding
from model.corpus.near_duplicates.cluster_kernels import common_and_either

if TYPE_CHECKING:
    from model.corpus.near_duplicates.config import NearDuplicatesConfig

SURE_ERRORS = 3.0
WRONG_EQUALS = 1e-3
CACHED_SHINGLES = 16_000_000

ShinglesOf = Callable[[int], np.ndarray]
"""The shingle hashes of a document: (n,) of any unsigned integers, in any order, repetitions allowed."""


def limits(config: NearDuplicatesConfig) -> tuple[int, int]:
    """Equal values from which a pair is possible, and from which it is accepted without a look at its shingles.

    The second is out of reach where even equal signatures do not tell: at thresholds near 1.
    """
    n, by_chance = config.signature_values, 0.5 ** banding(config.threshold, config.signature_values).value_bits
    margin = SURE_ERRORS * math.sqrt(config.threshold * (1 - config.threshold) / n)
    if config.verify == "estimate":
        margin = 0.0
    least, sure = (
        n * (by_chance + similarity * (1 - by_chance))
        for similarity in (config.threshold - margin, config.threshold + margin)
    )
    if config.verify == "exact" and config.threshold**n > WRONG_EQUALS:
        return math.ceil(round(least, 9)), n + 1
    return math.ceil(round(least, 9)), min(n, math.ceil(round(sure, 9)))


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Jaccard similarity of the sets of values of two sorted arrays, repetitions allowed; 0 if both are empty."""
    common, either = common_and_either(first, second)
    return common / either if either else 0.0


class ExactSimilarity:
    """Jaccard similarities of shingle sets, with the sets used last kept in memory."""

    def __init__(self, shingles_of: ShinglesOf) -> None:
        self._shingles_of = shingles_of
        self._sets: OrderedDict[int, np.ndarray] = OrderedDict()
        self._cached = 0

    def __call__(self, i: int, j: int) -> float:
        """The similarity of documents i and j."""
        return jaccard(self._set(i), self._set(j))

    def _set(self, i: int) -> np.ndarray:
        if i in self._sets:
            self._sets.move_to_end(i)
            return self._sets[i]
        found = np.sort(self._shingles_of(i))
        self._sets[i] = found
        self._cached += len(found)
        while self._cached > CACHED_SHINGLES and len(self._sets) > 1:
            self._cached -= len(self._sets.popitem(last=False)[1])
        return found
