"""What cleaning did: counts of everything that came in, by what became of it. Results of shards add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.corpus.lengths import Lengths
from model.corpus.statistics import CorpusStatistics

EXAMPLE_CHARACTERS = 120


@dataclass
class CleaningResult:
    """What cleaning did with some documents, or with all of them.

    Attributes:
        documents: Documents that came in; equals `kept` plus all `dropped`.
        characters: Characters that came in.
        kept: Documents written, over all splits, augmented variants not counted.
        kept_characters: Their characters as they were written.
        augmented: Variants written beside them.
        dropped: Documents dropped, by reason.
        dropped_characters: Their characters, by reason.
        examples: The first few dropped documents by reason: id and beginning of the text.
        changed: Documents that a step has changed, by the step's name.
        pii_documents: Documents with personal data, by its kind.
        pii_entities: Pieces of personal data replaced, by kind.
        lengths_before: Distribution of lengths as they came in.
        statistics: Figures of the documents that were kept.
    """

    documents: int = 0
    characters: int = 0
    kept: int = 0
    kept_characters: int = 0
    augmented: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_characters: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    changed: Counter[str] = field(default_factory=Counter)
    pii_documents: Counter[str] = field(default_factory=Counter)
    pii_entities: Counter[str] = field(default_factory=Counter)
    lengths_before: Lengths = field(default_factory=Lengths)
    statistics: CorpusStatistics = field(default_factory=CorpusStatistics)

    def take_in(self, text: str) -> None:
        """Count a document that came in."""
        self.documents += 1
        self.characters += len(text)
        self.lengths_before.add(len(text))

    def drop(self, document_id: str, text: str, reason: str, n_examples: int) -> None:
        """Count a document that was dropped, and keep it as an example while there are fewer than `n_examples`."""
        self.dropped[reason] += 1
        self.dropped_characters[reason] += len(text)
        if len(self.examples[reason]) < n_examples:
            self.examples[reason].append((document_id, text[:EXAMPLE_CHARACTERS]))

    def merge(self, other: CleaningResult, n_examples: int) -> None:
        """Add what happened to other documents, those after the ones counted here."""
        self.documents += other.documents
        self.characters += other.characters
        self.kept += other.kept
        self.kept_characters += other.kept_characters
        self.augmented += other.augmented
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))
        for reason, examples in other.examples.items():
            room = n_examples - len(self.examples[reason])
            self.examples[reason] += examples[:room]
        self.lengths_before.merge(other.lengths_before)
        self.statistics.merge(other.statistics)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON; see `from_json`."""
        sums = {name: getattr(self, name) for name in SUMS}
        counts = {name: dict(getattr(self, name)) for name in COUNTERS}
        return {
            **sums,
            **counts,
            "examples": dict(self.examples),
            "lengths_before": self.lengths_before.to_json(),
            "statistics": self.statistics.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CleaningResult:
        """What `to_json` gave, back as it was."""
        result = cls(**{name: values[name] for name in SUMS})
        for name in COUNTERS:
            setattr(result, name, Counter(values[name]))
        for reason, examples in values["examples"].items():
            result.examples[reason] = [(name, text) for name, text in examples]
        result.lengths_before = Lengths.from_json(values["lengths_before"])
        result.statistics = CorpusStatistics.from_json(values["statistics"])
        return result


SUMS = ("documents", "characters", "kept", "kept_characters", "augmented")
COUNTERS = ("dropped", "dropped_characters", "changed", "pii_documents", "pii_entities")
