"""What a datasheet can say by itself: facts that somebody measured. Everything is optional but honest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from model.corpus.documents import Document
from model.corpus.split_by_time import moment_of
from model.corpus.statistics import GroupStatistics

Row = Mapping[str, Any]


@dataclass(frozen=True)
class DatasetFacts:
    """Facts about a dataset of documents; what is empty is not mentioned.

    Attributes:
        title: Its name.
        documents: Documents it holds.
        characters: Their characters.
        bytes: Their UTF-8 bytes.
        words: Their words.
        tokens: Their tokens, under the tokenizer below.
        sources: Rows: `source`, and what is known of `kind`, `place`, `version`, `license`, `language`, sizes.
        languages: Rows: `language`, `documents`, `characters` or `tokens`, ...
        splits: Rows: `split`, `documents`, ...
        split_rule: How documents came into their split.
        split_boundaries: Rows: from when on a document belongs to which split.
        files_set_aside: Rows: what could not be read, by reason.
        documents_read: Documents before cleaning.
        not_chosen: Documents left out by a limit on their number.
        dropped: Rows: `reason`, `documents`, `meaning`, ...
        repairs: Rows: `repair`, `documents` changed by it.
        cleaning_steps: What was done to texts, in order, a sentence each.
        duplicates: Rows about exact and near-duplicates.
        personal_data: Rows: `kind`, `documents`, `found`, ...
        personal_data_rule: What was done with it; empty if nobody looked.
        contamination: Rows: overlap with benchmarks.
        expectations: Rows: checks that the data passed.
        created_oldest: Date of the oldest document.
        created_newest: Date of the newest document.
        created_unknown: Documents without a date.
        has_metadata: Documents that come with more than their text.
        tokenizer: Its kind, size and digest.
        digests: sha256 of the data by name.
        software: Versions by name.
        parameters: Every setting by its dotted name.
        more_tables: Other tables about the cleaning, by title.
    """

    title: str = ""
    documents: int | None = None
    characters: int | None = None
    bytes: int | None = None
    words: int | None = None
    tokens: int | None = None
    sources: Sequence[Row] = ()
    languages: Sequence[Row] = ()
    splits: Sequence[Row] = ()
    split_rule: str = ""
    split_boundaries: Sequence[Row] = ()
    files_set_aside: Sequence[Row] = ()
    documents_read: int | None = None
    not_chosen: int = 0
    dropped: Sequence[Row] = ()
    repairs: Sequence[Row] = ()
    cleaning_steps: Sequence[str] = ()
    duplicates: Sequence[Row] = ()
    personal_data: Sequence[Row] = ()
    personal_data_rule: str = ""
    contamination: Sequence[Row] = ()
    expectations: Sequence[Row] = ()
    created_oldest: str = ""
    created_newest: str = ""
    created_unknown: int | None = None
    has_metadata: int | None = None
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    more_tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> DatasetFacts:
        """Facts by name.

        Raises:
            TypeError: A name is not one of the attributes: a mistake of the caller.
        """
        unknown = sorted(set(facts) - {f.name for f in fields(cls)})
        if unknown:
            raise TypeError(f"unknown facts {', '.join(unknown)}")
        return cls(**facts)


def facts_of_documents(documents: Iterable[Document]) -> dict[str, Any]:
    """Measure a stream of documents for a datasheet, in bounded memory.

    Returns:
        Names of `DatasetFacts`: counts, sources, languages, dates, and how many have metadata.
    """
    everything, sources, languages = GroupStatistics(), {}, {}  # type: ignore[var-annotated]
    oldest = newest = ""
    unknown = with_metadata = 0
    for document in documents:
        everything.add(document.text)
        for groups, name in ((sources, document.source), (languages, document.language)):
            groups.setdefault(name, GroupStatistics()).add(document.text)
        moment = moment_of(document.created)
        if moment is None:
            unknown += 1
        else:
            oldest, newest = min(oldest or moment, moment), max(newest, moment)
        with_metadata += document.metadata not in {"", "{}"}
    return {
        "documents": everything.documents,
        "characters": everything.characters,
        "bytes": everything.n_bytes,
        "sources": [{"source": name, **_sizes(group)} for name, group in sources.items()],
        "languages": [{"language": name or "unknown", **_sizes(group)} for name, group in languages.items()],
        "created_oldest": oldest[:10],
        "created_newest": newest[:10],
        "created_unknown": unknown,
        "has_metadata": with_metadata,
    }


def _sizes(group: GroupStatistics) -> dict[str, int]:
    row = group.row()
    return {key: row[key] for key in ("documents", "characters", "bytes", "median", "longest")}
