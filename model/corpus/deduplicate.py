"""Exact deduplication by 16 bytes of each text's SHA-256: the first document of a text stays.

Two different texts have the same 128 bits with probability 10^-20 in a corpus of a thousand million documents.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DIGEST_BYTES = 16


def text_digest(text: str) -> bytes:
    """16 bytes that stand for a text; lone surrogates have their own."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


def exact_first(digests: np.ndarray) -> np.ndarray:
    """For each document the first one with the same text, for a whole corpus at once.

    Args:
        digests: (n,) S16, or (n, 2) uint64: the documents' digests in their order.

    Returns:
        (n,) int64: the index of the first equal digest; its own index where a document is the first.
    """
    import numpy as np

    halves = np.ascontiguousarray(digests).view("<u8").reshape(-1, DIGEST_BYTES // 8)
    if not len(halves):
        return np.empty(0, np.int64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: of equal digests the first comes first
    is_new = np.ones(len(order), bool)
    is_new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.flatnonzero(is_new)][np.cumsum(is_new) - 1]
    return first


class DigestSet:
    """A set of 16-byte digests, a sorted array and a small recent set: 40 bytes each, where a Python set takes 100."""

    def __init__(self, least_recent: int = 65_536) -> None:
        self._least_recent = least_recent
        self._recent: set[bytes] = set()
        self._sorted: np.ndarray | None = None

    def __len__(self) -> int:
        """How many different digests were added."""
        return len(self._recent) + (0 if self._sorted is None else len(self._sorted))

    def add(self, digest: bytes) -> bool:
        """Add a digest; False if it was there before."""
        if digest in self._recent or self._in_sorted(digest):
            return False
        self._recent.add(digest)
        if len(self._recent) >= max(self._least_recent, len(self) // 5):
            self._merge()
        return True

    def _in_sorted(self, digest: bytes) -> bool:
        if self._sorted is None:
            return False
        key = _as_array([digest])[0]
        at = int(self._sorted.searchsorted(key))
        return at < len(self._sorted) and bool(self._sorted[at] == key)

    def _merge(self) -> None:
        import numpy as np

        recent = _as_array(list(self._recent))
        self._sorted = np.sort(recent if self._sorted is None else np.concatenate([self._sorted, recent]))
        self._recent = set()


def _as_array(digests: list[bytes]) -> np.ndarray:
    """Digests as numpy byte strings; equal length makes numpy's blindness to trailing NULs harmless."""
    import numpy as np

    return np.array(digests, dtype=f"S{DIGEST_BYTES}")
