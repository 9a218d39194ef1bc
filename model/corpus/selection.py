"""A few documents that stand for all: those with the smallest hashes of their ids, never simply the first."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable


def stable_hash(*parts: str | int) -> int:
    """A 64-bit hash that is the same on every machine and in every Python version."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def largest_chosen_hash(ids: Iterable[str], n_documents: int) -> int:
    """The hash up to which documents are chosen, so that `n_documents` of them are (all, if there are fewer).

    Holds at most `n_documents` numbers, however many ids there are.
    """
    smallest: list[int] = []
    for name in ids:
        value = -stable_hash("selection", name)
        if len(smallest) < n_documents:
            heapq.heappush(smallest, value)
        else:
            heapq.heappushpop(smallest, value)
    return -smallest[0] if smallest else -1


def is_chosen(name: str, largest_hash: int) -> bool:
    """Whether a document's hash is small enough; see `largest_chosen_hash`."""
    return stable_hash("selection", name) <= largest_hash
