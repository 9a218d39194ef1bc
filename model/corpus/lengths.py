"""The distribution of lengths, in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

EXACT_BITS = 6


class Lengths:
    """Counts lengths in classes about 3 % wide (32 to an octave, as in HdrHistogram); below 64 exactly.

    Attributes:
        count: How many lengths were added.
        smallest: The least of them, exact; 0 without any.
        largest: The greatest of them, exact.
    """

    def __init__(self) -> None:
        self.count = 0
        self.smallest = 0
        self.largest = 0
        self._classes: Counter[int] = Counter()

    def add(self, length: int) -> None:
        """Count one length."""
        self.smallest = length if not self.count else min(self.smallest, length)
        self.largest = max(self.largest, length)
        self.count += 1
        shift = max(length.bit_length() - EXACT_BITS, 0)
        self._classes[length >> shift << shift] += 1

    def merge(self, other: Lengths) -> None:
        """Add all lengths that another has counted."""
        if other.count:
            self.smallest = min(self.smallest, other.smallest) if self.count else other.smallest
            self.largest = max(self.largest, other.largest)
            self.count += other.count
            self._classes.update(other._classes)

    def to_json(self) -> dict[str, Any]:
        """Everything counted, as JSON; see `from_json`."""
        return {"smallest": self.smallest, "largest": self.largest, "classes": sorted(self._classes.items())}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Lengths:
        """What `to_json` gave, back as it was."""
        lengths = cls()
        lengths._classes = Counter({int(start): int(n) for start, n in values["classes"]})
        lengths.count = lengths._classes.total()
        lengths.smallest, lengths.largest = values["smallest"], values["largest"]
        return lengths

    def quantile(self, share: float) -> int:
        """The length that `share` of all lengths do not exceed, at most 3.2 % too small; 0 without any."""
        rank = share * self.count
        passed = 0
        for start, n in sorted(self._classes.items()):
            passed += n
            if passed >= rank:
                return max(start, self.smallest)
        return self.largest

    def histogram(self) -> list[tuple[int, int]]:
        """How many lengths lie in [2^k, 2^(k+1)), as pairs of 2^k (0 for the length 0) and the count."""
        octaves: Counter[int] = Counter()
        for start, n in self._classes.items():
            octaves[1 << (start.bit_length() - 1) if start else 0] += n
        return sorted(octaves.items())
