"""Compiled loops over the buckets of one band: candidate pairs, and clusters as a union-find forest.

A forest is an int64 array: `parent[i]` is i at a root, and roots are the smallest numbers of their clusters.
"""

from __future__ import annotations

import numpy as np

from model.compiled import compiled
from model.corpus.near_duplicates.shingle_kernels import mix

ALL_PAIRS = 64  # members of a bucket up to which all pairs are looked at
HUB_MEMBERS = 16_384  # larger buckets are walked in pieces of this size
HUB_ROUNDS = 6
LEADERS = 3
NEIGHBOURS = 4
MOST_PAIRS_PER_MEMBER = LEADERS * (HUB_ROUNDS + 1) + NEIGHBOURS
LEAST_ROOM = HUB_MEMBERS * MOST_PAIRS_PER_MEMBER


@compiled
def root_of(parent: np.ndarray, i: int) -> int:
    """The smallest number of i's cluster; halves the path on its way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def unite(parent: np.ndarray, i: int, j: int) -> None:
    """Make one cluster of two."""
    i, j = root_of(parent, i), root_of(parent, j)
    if i < j:
        parent[j] = i
    else:
        parent[i] = j


@compiled
def unite_pairs(parent: np.ndarray, pairs: np.ndarray) -> None:
    """Unite all pairs (n, 2) int64."""
    for k in range(len(pairs)):
        unite(parent, pairs[k, 0], pairs[k, 1])


@compiled
def all_roots(parent: np.ndarray) -> None:
    """Make every entry point to its root."""
    for i in range(len(parent)):
        parent[i] = root_of(parent, i)


@compiled
def equal_values(signatures: np.ndarray, i: int, j: int) -> int:
    """How many values two signatures share."""
    n = 0
    for k in range(signatures.shape[1]):
        n += signatures[i, k] == signatures[j, k]
    return n


@compiled
def common_and_either(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many different values two sorted arrays have in common, and how many there are in either."""
    common, either, i, j = 0, 0, 0, 0
    while i < len(first) or j < len(second):
        value = first[i] if j == len(second) or (i < len(first) and first[i] < second[j]) else second[j]
        in_first, in_second = i < len(first) and first[i] == value, j < len(second) and second[j] == value
        common += in_first and in_second
        either += 1
        while i < len(first) and first[i] == value:
            i += 1
        while j < len(second) and second[j] == value:
            j += 1
    return common, either


@compiled
def band_keys(
    signatures: np.ndarray, documents: np.ndarray, groups: np.ndarray, first: int, end: int, keys: np.ndarray
) -> None:
    """The keys of one band (columns first to end) for some documents; different groups never meet.

    Args:
        signatures: (n, n_values) uint8 or uint16.
        documents: (m,) int64, rows of `signatures`.
        groups: (n,) int64, or empty where all may meet.
        first: First column.
        end: One past the last column.
        keys: (m,) uint64, filled.
    """
    for k in range(len(documents)):
        i = documents[k]
        key = mix(np.uint64(groups[i] + 1)) if len(groups) else np.uint64(0)
        for column in range(first, end):
            key = (key ^ np.uint64(signatures[i, column])) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        keys[k] = key


@compiled
def unite_equal(
    signatures: np.ndarray, documents: np.ndarray, keys: np.ndarray, order: np.ndarray, parent: np.ndarray
) -> None:
    """Unite documents whose whole signatures (their `keys`, sorted by `order`) are equal."""
    k = 0
    while k < len(order):
        end = k + 1
        while end < len(order) and keys[order[end]] == keys[order[k]]:
            end += 1
        for other in range(k + 1, end):
            i, j = documents[order[k]], documents[order[other]]
            if equal_values(signatures, i, j) == signatures.shape[1]:
                unite(parent, i, j)
        k = end


@compiled
def consider(
    signatures: np.ndarray, parent: np.ndarray, i: int, j: int, least: int, sure: int, pairs: np.ndarray, n: int
) -> tuple[int, bool]:
    """Unite a pair that is sure, write one that is possible, pass over one that is not or already united.

    With an empty `parent` every possible pair is written.

    Returns:
        The number of pairs written so far, and whether the two are settled as copies.
    """
    if i == j or (len(parent) and root_of(parent, i) == root_of(parent, j)):
        return n, True
    matches = equal_values(signatures, i, j)
    if matches < least:
        return n, False
    if len(parent) and matches >= sure:
        unite(parent, i, j)
        return n, True
    pairs[n, 0], pairs[n, 1], pairs[n, 2] = min(i, j), max(i, j), matches
    return n + 1, matches >= sure


@compiled
def central_members(signatures: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The few members whose signatures are nearest to the most frequent value of each column.

    A family of edits of one template has its template there, wherever that stands in the corpus.
    """
    n_values = signatures.shape[1]
    typical = np.empty(n_values, np.int64)
    counts = np.empty(256, np.int64)
    for column in range(n_values):
        counts[:] = 0
        for k in range(len(members)):
            counts[np.int64(signatures[members[k], column]) & 255] += 1
        typical[column] = np.argmax(counts)
    nearness = np.empty(len(members), np.int64)
    for k in range(len(members)):
        nearness[k] = 0
        for column in range(n_values):
            nearness[k] += (np.int64(signatures[members[k], column]) & 255) == typical[column]
    leaders = np.empty(min(LEADERS, len(members)), np.int64)
    for k in range(len(leaders)):
        best = np.argmax(nearness)
        leaders[k] = members[best]
        nearness[best] = -1
    return leaders


@compiled
def hub_pairs(
    signatures: np.ndarray, parent: np.ndarray, members: np.ndarray, carried: np.ndarray, least: int, sure: int,
    pairs: np.ndarray, n: int,
) -> tuple[int, np.ndarray]:  # fmt: skip
    """Candidates of a bucket too large for all pairs, in time linear in its size.

    Every member meets `carried` (the leaders of the bucket's first piece); then in rounds the central members of those
    that are not yet settled; and its neighbours in the order of the next band's key, in which `members` come.

    Returns:
        The number of pairs written so far, and the first leaders.
    """
    for leader in carried:
        for member in members:
            n, _ = consider(signatures, parent, leader, member, least, sure, pairs, n)
    first_leaders = carried
    waiting = members
    for turn in range(HUB_ROUNDS):
        if len(parent) and all_in_one(parent, waiting):
            break
        leaders = central_members(signatures, waiting)
        if turn == 0 and not len(first_leaders):
            first_leaders = leaders
        still = np.zeros(len(waiting), np.bool_)
        for k in range(len(waiting)):
            still[k] = True
            for leader in leaders:
                n, is_copy = consider(signatures, parent, leader, waiting[k], least, sure, pairs, n)
                if is_copy:
                    still[k] = False
        waiting = waiting[still]
        if len(waiting) < 2:
            break
    for k in range(len(members)):
        for back in range(max(0, k - NEIGHBOURS), k):
            n, _ = consider(signatures, parent, members[back], members[k], least, sure, pairs, n)
    return n, first_leaders


@compiled
def all_in_one(parent: np.ndarray, members: np.ndarray) -> bool:
    """Whether some documents are one cluster already."""
    n = 0
    for member in members:
        n += root_of(parent, member) == root_of(parent, members[0])
    return n == len(members)


@compiled
def sort_bucket(order: np.ndarray, begin: int, end: int, next_keys: np.ndarray) -> None:
    """Bring a bucket of `order` into an order of its own: by number, and a hub by the next band's key before.

    Shellsort by Tokuda's gaps: numpy's sorts take numba four seconds to compile.
    """
    by_key = end - begin > ALL_PAIRS
    gap = 1
    while gap * 9 // 4 < end - begin:
        gap = gap * 9 // 4 + 1
    while gap:
        for place in range(begin + gap, end):
            moved, at = order[place], place
            key = next_keys[moved]
            while at - gap >= begin:
                other = order[at - gap]
                other_key = next_keys[other]
                if by_key and other_key != key:
                    if other_key < key:
                        break
                elif other < moved:
                    break
                order[at] = other
                at -= gap
            order[at] = moved
        gap = gap * 4 // 9


@compiled
def bucket_pairs(
    signatures: np.ndarray, documents: np.ndarray, keys: np.ndarray, next_keys: np.ndarray, order: np.ndarray,
    position: int, carried: np.ndarray, parent: np.ndarray, least: int, sure: int, pairs: np.ndarray,
) -> tuple[int, np.ndarray, int]:  # fmt: skip
    """Walk the buckets of a band from a position on, until they end or `pairs` is full.

    Args:
        signatures: (n, n_values) uint8 or uint16.
        documents: (m,) int64, the rows that take part.
        keys: (m,) uint64, their keys in this band.
        next_keys: (m,) uint64, their keys in another.
        order: (m,) int64, which sorts `keys`; inside a bucket it is changed.
        position: Where in `order` to begin: 0, or what the last call returned.
        carried: Leaders of the hub at `position`, as the last call returned them.
        parent: (n,) int64 forest, or (0,) to write every pair.
        least: Equal values from which a pair is possible.
        sure: Equal values from which it is sure.
        pairs: (`LEAST_ROOM` or more, 3) int64, filled with i < j and their equal values.

    Returns:
        The position and leaders to go on from, and how many pairs were written.
    """
    n = 0
    while position < len(order):
        is_new = position == 0 or keys[order[position - 1]] != keys[order[position]]
        end, most = position + 1, len(order) if is_new else min(len(order), position + HUB_MEMBERS)
        while end < most and keys[order[end]] == keys[order[position]]:
            end += 1
        if is_new and end - position > 1:
            sort_bucket(order, position, end, next_keys)
        if is_new and end - position <= ALL_PAIRS:
            if len(pairs) - n < (end - position) ** 2 // 2:
                return position, carried, n
            for later in range(position + 1, end):
                for earlier in range(position, later):
                    i, j = documents[order[earlier]], documents[order[later]]
                    n, _ = consider(signatures, parent, i, j, least, sure, pairs, n)
        else:
            end = min(end, position + HUB_MEMBERS)
            if len(pairs) - n < (end - position) * MOST_PAIRS_PER_MEMBER:
                return position, carried, n
            before = carried[:0] if is_new else carried
            n, carried = hub_pairs(
                signatures, parent, documents[order[position:end]], before, least, sure, pairs, n
            )  # fmt: skip
        position = end
    return position, carried, n
