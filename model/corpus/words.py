"""Words of a corpus, counted in bounded memory: the most common ones and the size of the vocabulary."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

WORD = re.compile(r"\w+")
MOST_COUNTED = 200_000
SAMPLE_SIZE = 65_536
WORDS_AT_ONCE = 100_000
# Of ASCII bytes, what a word keeps of them; translating and splitting is twice as fast as the expression.
ASCII_WORDS = bytes(ord(chr(i).lower()) if i < 128 and WORD.match(chr(i)) else ord(" ") for i in range(256))


def words_of(text: str) -> list[str]:
    """The words of a text: runs of letters, digits and underscores, in lower case."""
    if text.isascii():
        return text.encode("ascii").translate(ASCII_WORDS).decode("ascii").split()
    return WORD.findall(text.lower())


class WordCounts:
    """Counts words; exact until 200,000 different ones have been seen, then approximate.

    When the table is full, its rarer half is forgotten, so that rare words are undercounted. The vocabulary is then
    estimated by adaptive sampling (Wegman; Flajolet 1990): of all words whose hash ends in k zero bits there are about
    vocabulary / 2^k; the standard error is 0.5 %.
    """

    def __init__(self, most_counted: int = MOST_COUNTED, sample_size: int = SAMPLE_SIZE) -> None:
        self.total = 0
        self._is_exact = True
        self._counts: Counter[str] = Counter()
        self._waiting: list[str] = []
        self._most_counted = most_counted
        self._sample_size = sample_size
        self._sample: set[int] = set()
        self._zero_bits = 0

    def add(self, words: list[str]) -> None:
        """Count the words of one text."""
        self.total += len(words)
        self._waiting += words
        if len(self._waiting) >= WORDS_AT_ONCE:
            self._settle()

    def merge(self, other: WordCounts) -> None:
        """Add all that another counter has counted."""
        self._settle()
        other._settle()
        self.total += other.total
        if not (self._is_exact and other._is_exact):
            self._begin_sample()
            other_words = other._sample_of_all()
            self._zero_bits = max(self._zero_bits, other._zero_bits)
            self._sample = {h for h in self._sample | other_words if not h & self._mask}
        self._add(other._counts)

    def to_json(self) -> dict[str, Any]:
        """Everything counted, as JSON; see `from_json`."""
        self._settle()
        return {
            "total": self.total,
            "is_exact": self.is_exact,
            "counts": dict(sorted(self._counts.items())),
            "sample": sorted(self._sample),
            "zero_bits": self._zero_bits,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WordCounts:
        """What `to_json` gave, back as it was."""
        words = cls()
        words.total, words._is_exact = values["total"], values["is_exact"]
        words._counts, words._sample = Counter(values["counts"]), set(values["sample"])
        words._zero_bits = values["zero_bits"]
        return words

    @property
    def is_exact(self) -> bool:
        """Whether every word is in the table still, with its true count."""
        self._settle()
        return self._is_exact

    @property
    def vocabulary(self) -> int:
        """How many different words there are; an estimate once `is_exact` is false."""
        self._settle()
        return len(self._counts) if self.is_exact else len(self._sample) << self._zero_bits

    def most_common(self, n: int) -> list[tuple[str, int]]:
        """The `n` most frequent words with their counts, ties in alphabetical order."""
        self._settle()
        return self._most_common(n)

    def _most_common(self, n: int) -> list[tuple[str, int]]:
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:n]

    @property
    def _mask(self) -> int:
        return (1 << self._zero_bits) - 1

    def _settle(self) -> None:
        """Count the words that wait; many texts at once, since every different word costs a look at the sample."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._add(Counter(waiting))

    def _add(self, counts: Counter[str]) -> None:
        if not self._is_exact:
            self._sample_new(word for word in counts if word not in self._counts)
        self._counts.update(counts)
        if len(self._counts) > self._most_counted:
            self._begin_sample()
            self._counts = Counter(dict(self._most_common(self._most_counted // 2)))

    def _begin_sample(self) -> None:
        """From now on not every word is in the table; until now the sample can be made of it."""
        if self._is_exact:
            self._is_exact = False
            self._sample_new(self._counts)

    def _sample_of_all(self) -> set[int]:
        if not self._is_exact:
            return self._sample
        sampled = WordCounts(sample_size=self._sample_size)
        sampled._sample_new(self._counts)
        return sampled._sample

    def _sample_new(self, words: Iterable[str]) -> None:
        mask, crc32, spread = self._mask, zlib.crc32, _spread
        for word in words:
            value = spread(crc32(word.encode("utf-8", "surrogatepass")))
            if not value & mask:
                self._sample.add(value)
        while len(self._sample) > self._sample_size:
            self._zero_bits += 1
            self._sample = {value for value in self._sample if not value & self._mask}


def _spread(value: int) -> int:
    """Mix a CRC's bits, whose low ones alone are no good hash (the 32-bit finalizer of MurmurHash3)."""
    value = ((value ^ value >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    value = ((value ^ value >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return value ^ value >> 16
