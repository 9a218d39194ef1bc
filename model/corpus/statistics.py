"""What a corpus looks like, measured as its documents stream by."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.corpus.documents import Document
from model.corpus.lengths import Lengths
from model.corpus.words import WordCounts, words_of


@dataclass
class GroupStatistics:
    """Sums over one split or one source.

    Attributes:
        characters: Unicode characters.
        n_bytes: UTF-8 bytes.
        words: Words, see `words_of`; 0 where they were not counted.
        lengths: Distribution of characters per document.
    """

    characters: int = 0
    n_bytes: int = 0
    words: int = 0
    lengths: Lengths = field(default_factory=Lengths)

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return self.lengths.count

    def add(self, text: str, n_words: int = 0) -> None:
        """Add one document."""
        self.characters += len(text)
        self.n_bytes += len(text.encode("utf-8"))
        self.words += n_words
        self.lengths.add(len(text))

    def row(self) -> dict[str, int]:
        """The figures as one row of a table."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.n_bytes,
            "words": self.words,
            "shortest": self.lengths.smallest,
            "quarter": self.lengths.quantile(0.25),
            "median": self.lengths.quantile(0.5),
            "three_quarters": self.lengths.quantile(0.75),
            "percentile_99": self.lengths.quantile(0.99),
            "longest": self.lengths.largest,
        }


class CorpusStatistics:
    """Statistics for each split and each source; vocabularies for each split and for all of it."""

    def __init__(self) -> None:
        self.splits: dict[str, GroupStatistics] = {}
        self.sources: dict[str, GroupStatistics] = {}
        self.words: dict[str, WordCounts] = {}

    def add(self, document: Document, split: str) -> None:
        """Add one document of a split."""
        words = words_of(document.text)
        self.splits.setdefault(split, GroupStatistics()).add(document.text, len(words))
        self.sources.setdefault(document.source, GroupStatistics()).add(document.text, len(words))
        self.words.setdefault(split, WordCounts()).add(words)

    def all_words(self) -> WordCounts:
        """The words of all splits together."""
        merged = WordCounts()
        for counts in self.words.values():
            merged.merge(counts)
        return merged

    def split_rows(self) -> list[dict[str, str | int]]:
        """One row for each split."""
        return [
            {"split": name, **group.row(), "vocabulary": self.words[name].vocabulary}
            for name, group in self.splits.items()
        ]

    def source_rows(self) -> list[dict[str, str | int]]:
        """One row for each source."""
        return [{"source": name, **group.row()} for name, group in self.sources.items()]

    def length_rows(self) -> list[dict[str, str | int]]:
        """The histogram of document lengths: classes from 2^k to below 2^(k+1) characters, for each split."""
        return [
            {"split": name, "from_characters": start, "documents": n}
            for name, group in self.splits.items()
            for start, n in group.lengths.histogram()
        ]

    def word_rows(self, n: int = 50) -> list[dict[str, str | int]]:
        """The most common words of all splits."""
        return [{"word": word, "count": count} for word, count in self.all_words().most_common(n)]
