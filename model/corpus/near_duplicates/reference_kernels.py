"""The compiled loop that compares documents with those of a reference set."""

from __future__ import annotations

import numpy as np

from model.compiled import compiled

MOST_OF_A_BUCKET = 64


@compiled
def reference_pairs(
    ours: np.ndarray, theirs: np.ndarray, documents: np.ndarray, others: np.ndarray, begins: np.ndarray,
    ends: np.ndarray, position: int, least: int, pairs: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Compare each document with `others[begins:ends]`; returns where to go on and how many pairs were written."""
    n = 0
    while position < len(documents):
        if len(pairs) - n < MOST_OF_A_BUCKET:
            return position, n
        i = documents[position]
        for place in range(begins[position], min(ends[position], begins[position] + MOST_OF_A_BUCKET)):
            matches = 0
            for column in range(ours.shape[1]):
                matches += ours[i, column] == theirs[others[place], column]
            if matches >= least:
                pairs[n, 0], pairs[n, 1], pairs[n, 2] = i, others[place], matches
                n += 1
        position += 1
    return position, n
