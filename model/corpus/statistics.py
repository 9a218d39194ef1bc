"""What a corpus looks like, measured as its documents stream by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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

    def merge(self, other: GroupStatistics) -> None:
        """Add all documents that another has counted."""
        self.characters += other.characters
        self.n_bytes += other.n_bytes
        self.words += other.words
        self.lengths.merge(other.lengths)

    def to_json(self) -> dict[str, Any]:
        """Everything counted, as JSON; see `from_json`."""
        sums = {"characters": self.characters, "n_bytes": self.n_bytes, "words": self.words}
        return {**sums, "lengths": self.lengths.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> GroupStatistics:
        """What `to_json` gave, back as it was."""
        return cls(**{**values, "lengths": Lengths.from_json(values["lengths"])})

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
    """Statistics for each split, source and language; vocabularies for each split and for all of it."""

    def __init__(self) -> None:
        self.splits: dict[str, GroupStatistics] = {}
        self.sources: dict[str, GroupStatistics] = {}
        self.languages: dict[str, GroupStatistics] = {}
        self.words: dict[str, WordCounts] = {}

    def add(self, document: Document, split: str) -> None:
        """Add one document of a split."""
        words = words_of(document.text)
        for groups, name in (
            (self.splits, split),
            (self.sources, document.source),
            (self.languages, document.language),
        ):
            groups.setdefault(name, GroupStatistics()).add(document.text, len(words))
        self.words.setdefault(split, WordCounts()).add(words)

    def merge(self, other: CorpusStatistics) -> None:
        """Add all documents that another has counted."""
        for own, others in (
            (self.splits, other.splits),
            (self.sources, other.sources),
            (self.languages, other.languages),
        ):
            for name, group in others.items():
                own.setdefault(name, GroupStatistics()).merge(group)
        for split, words in other.words.items():
            self.words.setdefault(split, WordCounts()).merge(words)

    def to_json(self) -> dict[str, Any]:
        """Everything counted, as JSON; see `from_json`."""
        groups = {"splits": self.splits, "sources": self.sources, "languages": self.languages}
        tables = {kind: {name: group.to_json() for name, group in table.items()} for kind, table in groups.items()}
        return {**tables, "words": {split: words.to_json() for split, words in self.words.items()}}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CorpusStatistics:
        """What `to_json` gave, back as it was."""
        statistics = cls()
        for kind in ("splits", "sources", "languages"):
            groups = {name: GroupStatistics.from_json(group) for name, group in values[kind].items()}
            setattr(statistics, kind, groups)
        statistics.words = {split: WordCounts.from_json(words) for split, words in values["words"].items()}
        return statistics

    def all_words(self) -> WordCounts:
        """The words of all splits together."""
        merged = WordCounts()
        for counts in self.words.values():
            merged.merge(counts)
        return merged

    def all_lengths(self) -> Lengths:
        """The lengths of all splits together."""
        merged = Lengths()
        for group in self.splits.values():
            merged.merge(group.lengths)
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

    def language_rows(self) -> list[dict[str, str | int]]:
        """One row for each language tag."""
        return [{"language": name, **group.row()} for name, group in self.languages.items()]

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
