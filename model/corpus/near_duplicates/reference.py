"""Documents that nearly repeat a document of a reference set, such as evaluation data."""

from __future__ import annotations

import numpy as np

from model.corpus.near_duplicates.banding import banding
from model.corpus.near_duplicates.cluster_kernels import band_keys
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.reference_kernels import reference_pairs
from model.corpus.near_duplicates.signatures import unpacked
from model.corpus.near_duplicates.verification import ShinglesOf, jaccard, limits
from model.errors import ConfigError

ROOM = 1 << 20


def near_reference(
    signatures: np.ndarray,
    reference: np.ndarray,
    config: NearDuplicatesConfig,
    *,
    shingles_of: ShinglesOf | None = None,
    reference_shingles_of: ShinglesOf | None = None,
    batch: int = 250_000,
) -> np.ndarray:
    """For each document a reference document that it repeats.

    Args:
        signatures: (n, columns) uint32 of the documents; may be memory-mapped.
        reference: (m, columns) uint32 of the reference set, made with the same config.
        config: Threshold and method; `within` is not looked at.
        shingles_of: Fetches a document's shingles, for `verify: exact`.
        reference_shingles_of: Fetches a reference document's shingles.
        batch: Documents looked at together; bounds the memory.

    Returns:
        (n,) int64: the reference document most similar by signature among those that reach the threshold; -1 where
        none does. Of a bucket of equal keys the first 64 reference documents are compared.

    Raises:
        ConfigError: `verify: exact` without shingles.
    """
    if config.verify == "estimate":
        shingles_of = reference_shingles_of = None
    elif shingles_of is None or reference_shingles_of is None:
        raise ConfigError("near_duplicates: verify exact needs the shingles of documents and reference, got none")
    _, sure = limits(config)
    theirs, repeated = unpacked(reference, config), np.full(len(signatures), -1, np.int64)
    different = np.unique(theirs, axis=0, return_index=True)[1] if len(theirs) else np.empty(0, np.int64)
    rows = np.sort(different)[theirs[np.sort(different)].any(axis=1)].astype(np.int64)
    for begin in range(0, len(signatures), batch):
        ours = unpacked(signatures[begin : begin + batch], config)
        pairs = _candidates(ours, theirs, rows, config)
        order = np.lexsort((pairs[:, 1], -pairs[:, 2], pairs[:, 0]))
        for k, other, matches in pairs[order].tolist():
            if repeated[begin + k] >= 0:
                continue
            if matches < sure and shingles_of is not None and reference_shingles_of is not None:
                first, second = np.sort(shingles_of(begin + k)), np.sort(reference_shingles_of(other))
                if jaccard(first, second) < config.threshold:
                    continue
            repeated[begin + k] = other
    return repeated


def _candidates(ours: np.ndarray, theirs: np.ndarray, rows: np.ndarray, config: NearDuplicatesConfig) -> np.ndarray:
    """Pairs of a document and a reference document that share a band and may be similar: (n, 3) int64, unique."""
    cut, (least, _) = banding(config.threshold, config.signature_values), limits(config)
    everyone, no_groups = np.flatnonzero(ours.any(axis=1)), np.empty(0, np.int64)
    found = [np.empty((0, 3), np.int64)]
    room = np.empty((ROOM, 3), np.int64)
    for band in range(cut.bands):
        first, end = band * cut.rows, (band + 1) * cut.rows
        keys, their_keys = np.empty(len(everyone), np.uint64), np.empty(len(rows), np.uint64)
        band_keys(ours, everyone, no_groups, first, end, keys)
        band_keys(theirs, rows, no_groups, first, end, their_keys)
        order = np.argsort(their_keys, kind="stable")
        ends = np.searchsorted(their_keys[order], keys, side="right")
        begins = np.searchsorted(their_keys[order], keys, side="left")
        position = 0
        while position < len(everyone):
            position, n = reference_pairs(ours, theirs, everyone, rows[order], begins, ends, position, least, room)
            found.append(room[:n].copy())
    return np.unique(np.concatenate(found), axis=0)
