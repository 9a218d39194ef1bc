"""Which documents of a cluster stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.corpus.near_duplicates.cluster_kernels import all_roots, unite_pairs
from model.corpus.near_duplicates.config import Keep


def joined_clusters(clusters: np.ndarray, exact_of: np.ndarray) -> np.ndarray:
    """Clusters of documents that are equal or nearly so: (n,) int64, the smallest index of each cluster.

    Args:
        clusters: (n,) int64, from `find_clusters`.
        exact_of: (n,) int64, the index of the first equal text, from `exact_first`.
    """
    parent = np.arange(len(clusters), dtype=np.int64)
    for labels in (clusters, exact_of):
        unite_pairs(parent, np.stack([parent * 0 + np.arange(len(labels)), labels], axis=1))
    all_roots(parent)
    return parent


def choose_kept(
    clusters: np.ndarray,
    exact_of: np.ndarray,
    lengths: np.ndarray,
    created: Sequence[str],
    keep: Keep,
    *,
    drop_all: bool = False,
) -> np.ndarray:
    """Which documents stay: one of each cluster.

    Args:
        clusters: (n,) int64, from `find_clusters`; `numpy.arange(n)` without near deduplication.
        exact_of: (n,) int64, from `exact_first`; `numpy.arange(n)` without exact deduplication.
        lengths: (n,) integers, the documents' characters.
        created: n dates as the sources give them; they are compared as text, as ISO 8601 dates can be, and a document
            without one is older than all others.
        keep: `first`; `longest`; `most_recent`. Ties go to the first.
        drop_all: Drop every document that has a copy, the one kept too.

    Returns:
        (n,) bool.
    """
    labels = joined_clusters(clusters, exact_of)
    n = len(labels)
    kept = np.zeros(n, bool)
    if not n:
        return kept
    if keep == "longest":
        rank = -np.asarray(lengths, np.int64)
    elif keep == "most_recent":
        rank = -np.unique(np.asarray(created, dtype=object), return_inverse=True)[1].astype(np.int64)
    else:
        rank = np.zeros(n, np.int64)
    order = np.lexsort((np.arange(n), rank, labels))
    kept[order[np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])]] = True
    if drop_all:
        kept &= np.bincount(labels, minlength=n)[labels] == 1
    return kept
