"""Clusters of near-duplicates from signatures: band by band, in memory that does not depend on how alike they are.

Documents that agree in a band share a bucket. Pairs of a small bucket are all looked at; in a hub of thousands (a
template, a boilerplate page) every member meets only its leaders and neighbours, so that the cost stays linear. A pair
is copied if its similarity, estimated or exact (`verification.py`), reaches the threshold; clusters are the connected
components. Beside the signatures, which may be memory-mapped, 40 bytes per document are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from model.corpus.near_duplicates.banding import banding
from model.corpus.near_duplicates.cluster_kernels import (
    LEAST_ROOM,
    all_roots,
    band_keys,
    bucket_pairs,
    root_of,
    unite_equal,
    unite_pairs,
)
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.signatures import estimate, unpacked
from model.corpus.near_duplicates.verification import ExactSimilarity, ShinglesOf, limits
from model.errors import ConfigError

REMEMBERED_PAIRS = 1 << 24
ALL_SOURCES = np.empty(0, np.int64)
Progress = Callable[[int, int], None]


def find_clusters(
    signatures: np.ndarray,
    config: NearDuplicatesConfig,
    *,
    shingles_of: ShinglesOf | None = None,
    sources: np.ndarray | None = None,
    on_progress: Progress = lambda _done, _total: None,
) -> np.ndarray:
    """Which documents are copies of each other.

    Args:
        signatures: (n, columns) uint32 as `signatures()` makes them, in memory or memory-mapped.
        config: Threshold and method.
        shingles_of: Fetches a document's shingles, for `verify: exact`; see `shingle_file.py`.
        sources: (n,) integers that name each document's source, for `within: source`.
        on_progress: Told the bands done and the bands in all.

    Returns:
        (n,) int64: the smallest index of each document's cluster; its own index where it has no copy.

    Raises:
        ConfigError: The config needs shingles or sources that were not given.
    """
    values, groups = unpacked(signatures, config), _groups(config, shingles_of, sources)
    exact = ExactSimilarity(shingles_of) if shingles_of is not None and config.verify == "exact" else None
    parent, documents = _equal_united(values, groups, config, exact)
    documents = documents[parent[documents] == documents]
    rejected = np.empty(0, np.int64)
    n_bands = banding(config.threshold, config.signature_values).bands
    for band in range(n_bands):
        for pairs in _band_pairs(values, documents, groups, band, config, parent):
            found, rejected = _decided(pairs, rejected, len(values), config, exact, parent)
            unite_pairs(parent, found)
        on_progress(band + 1, n_bands)
    all_roots(parent)
    return parent


def find_pairs(
    signatures: np.ndarray,
    config: NearDuplicatesConfig,
    *,
    shingles_of: ShinglesOf | None = None,
    sources: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of copies, also inside a cluster: for corpora where one wants to see them, as they can be many.

    Returns:
        pairs (n, 2) int64 with i < j in ascending order, and their similarities (n,) float64: exact where the shingles
        were compared, else estimated. In a bucket of more than 64 different signatures not all pairs are looked at.

    Raises:
        ConfigError: As `find_clusters`.
    """
    values, groups = unpacked(signatures, config), _groups(config, shingles_of, sources)
    exact = ExactSimilarity(shingles_of) if shingles_of is not None and config.verify == "exact" else None
    parent, documents = _equal_united(values, groups, config, exact)
    members = np.argsort(parent, kind="stable")
    begins = np.searchsorted(parent[members], np.arange(len(values) + 1))
    heads = documents[parent[documents] == documents]
    candidates = [np.empty((0, 3), np.int64)]
    for band in range(banding(config.threshold, config.signature_values).bands):
        candidates.extend(_band_pairs(values, heads, groups, band, config, np.empty(0, np.int64)))
    possible = np.unique(np.concatenate(candidates), axis=0)
    similarity = np.clip(estimate(possible[:, 2], config), 0, 1)
    kept = np.ones(len(possible), bool)
    if exact is not None:
        for k in np.flatnonzero(possible[:, 2] < limits(config)[1]):
            similarity[k] = exact(int(possible[k, 0]), int(possible[k, 1]))
            kept[k] = similarity[k] >= config.threshold
    pairs, similarities = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for head in heads[np.diff(begins)[heads] > 1]:
        equal = members[begins[head] : begins[head + 1]]
        first, second = np.triu_indices(len(equal), 1)
        pairs.append(np.stack([equal[first], equal[second]], axis=1))
        similarities.append(np.ones(len(first)))
    for (i, j), value in zip(possible[kept, :2], similarity[kept], strict=True):
        ours, theirs = members[begins[i] : begins[i + 1]], members[begins[j] : begins[j + 1]]
        pairs.append(np.sort(np.stack(np.meshgrid(ours, theirs), axis=-1).reshape(-1, 2), axis=1))
        similarities.append(np.full(len(pairs[-1]), value))
    found, values_of = np.concatenate(pairs), np.concatenate(similarities)
    order = np.lexsort((found[:, 1], found[:, 0]))
    return found[order], values_of[order]


def _equal_united(
    values: np.ndarray, groups: np.ndarray, config: NearDuplicatesConfig, exact: ExactSimilarity | None
) -> tuple[np.ndarray, np.ndarray]:
    """A forest in which equal signatures are united, and the documents that have a signature."""
    parent = np.arange(len(values), dtype=np.int64)
    documents = _with_shingles(values)
    keys, order = _sorted_keys(values, documents, groups, 0, values.shape[1])
    if not _has_equal(keys, order):
        return parent, documents
    unite_equal(values, documents, keys, order, parent)
    all_roots(parent)
    if exact is not None and limits(config)[1] > values.shape[1]:
        for i in np.flatnonzero(parent != np.arange(len(parent))).tolist():
            if exact(i, int(parent[i])) < config.threshold:
                parent[i] = i
    return parent, documents


def _groups(config: NearDuplicatesConfig, shingles_of: ShinglesOf | None, sources: np.ndarray | None) -> np.ndarray:
    if config.verify == "exact" and shingles_of is None:
        raise ConfigError("near_duplicates: verify exact needs the documents' shingles, got none; use verify: estimate")
    if config.within == "all":
        return ALL_SOURCES
    if sources is None:
        raise ConfigError("near_duplicates: within source needs the documents' sources, got none; use within: all")
    return np.ascontiguousarray(sources, np.int64)


def _with_shingles(values: np.ndarray) -> np.ndarray:
    """Documents that have a signature: all zeros means that there was nothing to compare."""
    step = 1 << 20
    parts = [np.flatnonzero(values[at : at + step].any(axis=1)) + at for at in range(0, len(values), step)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _sorted_keys(
    values: np.ndarray, documents: np.ndarray, groups: np.ndarray, first: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    keys = np.empty(len(documents), np.uint64)
    band_keys(values, documents, groups, first, end, keys)
    return keys, np.argsort(keys)


def _has_equal(keys: np.ndarray, order: np.ndarray) -> bool:
    """Whether any bucket has two members; without copies no kernel that walks buckets is compiled."""
    ordered = keys[order]
    return bool((ordered[1:] == ordered[:-1]).any())


def _band_pairs(
    values: np.ndarray, documents: np.ndarray, groups: np.ndarray, band: int, config: NearDuplicatesConfig,
    parent: np.ndarray,
) -> Iterator[np.ndarray]:  # fmt: skip
    """The candidates of one band, (n, 3) int64, in portions of bounded size."""
    cut = banding(config.threshold, config.signature_values)
    keys, order = _sorted_keys(values, documents, groups, band * cut.rows, (band + 1) * cut.rows)
    if not _has_equal(keys, order):
        return
    next_keys, following = np.empty(len(documents), np.uint64), (band + 1) % cut.bands * cut.rows
    band_keys(values, documents, groups, following, following + cut.rows, next_keys)
    least, sure = limits(config)
    room = np.empty((LEAST_ROOM, 3), np.int64)
    position, leaders = 0, np.empty(0, np.int64)
    while position < len(order):
        position, leaders, n = bucket_pairs(
            values, documents, keys, next_keys, order, position, leaders, parent, least, sure, room
        )
        if n:
            yield room[:n].copy()


def _decided(
    pairs: np.ndarray, rejected: np.ndarray, n: int, config: NearDuplicatesConfig, exact: ExactSimilarity | None,
    parent: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Those of some possible pairs that are copies, and the pairs known not to be, as sorted numbers `i * n + j`."""
    if exact is None:
        return pairs[:, :2], rejected
    codes = np.unique(pairs[:, 0] * n + pairs[:, 1])
    if len(rejected):
        at = np.minimum(np.searchsorted(rejected, codes), len(rejected) - 1)
        codes = codes[rejected[at] != codes]
    refused = []
    for code in codes.tolist():
        i, j = divmod(code, n)
        if root_of(parent, i) == root_of(parent, j):
            continue
        if exact(i, j) >= config.threshold:
            unite_pairs(parent, np.array([[i, j]], np.int64))
        else:
            refused.append(code)
    if len(rejected) + len(refused) > REMEMBERED_PAIRS:  # forgetting costs time, not results
        rejected = rejected[:0]
    return pairs[:0, :2], np.sort(np.concatenate([rejected, np.array(refused, np.int64)]))
