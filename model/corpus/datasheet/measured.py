"""Which facts answer which question. A question without facts here is one for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.corpus.datasheet.facts import DatasetFacts, Row


@dataclass(frozen=True)
class Table:
    """Rows under a caption."""

    title: str
    rows: Sequence[Row]


Block = str | Table
"""A paragraph or a table."""


def measured_answers(facts: DatasetFacts) -> dict[str, list[Block]]:
    """What the facts say, by `section.question`."""
    answers = {name: answer(facts) for name, answer in ANSWERS.items()}
    return {name: kept for name, blocks in answers.items() if (kept := [b for b in blocks if not _empty(b)])}


def _empty(block: Block) -> bool:
    return not (block.rows if isinstance(block, Table) else block)


def _n(count: int | None, what: str) -> str:
    return "" if count is None else f"{count:,} {what}"


def _listed(parts: Sequence[str]) -> str:
    kept = [part for part in parts if part]
    return ", ".join(kept[:-1]) + (" and " if len(kept) > 1 else "") + kept[-1] if kept else ""


def _instances(facts: DatasetFacts) -> list[Block]:
    kinds = sorted({str(row["kind"]) for row in facts.sources if row.get("kind")})
    origin = f" They come from {_listed(kinds)}." if kinds else ""
    return [f"One instance is one document: a text with its source, language and date where known.{origin}"]


def _count(facts: DatasetFacts) -> list[Block]:
    sizes = _listed(
        [
            _n(facts.documents, "documents"),
            _n(facts.words, "words"),
            _n(facts.characters, "characters"),
            _n(facts.bytes, "bytes of UTF-8"),
            _n(facts.tokens, "tokens"),
        ]
    )
    return [f"{sizes}." if sizes else "", Table("By source", facts.sources), Table("By language", facts.languages)]


def _sample(facts: DatasetFacts) -> list[Block]:
    blocks: list[Block] = []
    if facts.not_chosen:
        blocks.append(
            f"A sample: {facts.not_chosen:,} documents of the sources were left out by a limit on their number, "
            "chosen by a stable hash of their ids."
        )
    elif facts.documents_read is not None:
        but = ", but for what cannot be read (2.6)" if facts.files_set_aside else ""
        blocks.append(f"Everything that the sources hold was read{but}; no sample was drawn from them.")
    if facts.documents_read is not None and facts.documents is not None:
        blocks.append(
            f"Of {facts.documents_read:,} documents read, {facts.documents:,} remain after cleaning (see "
            "preprocessing). Whether the sources themselves represent a larger set, no measurement here can say."
        )
    return blocks


def _content(facts: DatasetFacts) -> list[Block]:
    metadata = f" {facts.has_metadata:,} documents carry metadata of their source." if facts.has_metadata else ""
    if "clean" not in facts.digests:
        return [f"Raw text, as Unicode.{metadata}"]
    return [
        "Raw text, as Unicode. Each row of the Parquet files in `data/clean` holds `id`, `text`, `source`, `language`, "
        f"`created` and `metadata` (JSON).{metadata}"
    ]


def _labels(_: DatasetFacts) -> list[Block]:
    return ["No label. For language modelling the target of each token is the token after it."]


def _missing(facts: DatasetFacts) -> list[Block]:
    dates = ""
    if facts.documents and facts.created_unknown is not None:
        some = f"{facts.created_unknown:,} of {facts.documents:,} documents have no date that could be read."
        dates = {0: "Every document has a date.", facts.documents: "No document has a date."}.get(
            facts.created_unknown, some
        )
    redacted = "Personal data was taken out of texts, see below." if facts.personal_data else ""
    return [" ".join(part for part in (dates, redacted) if part), Table("Could not be read", facts.files_set_aside)]


def _relations(_: DatasetFacts) -> list[Block]:
    return [
        "An id names the source and the file, and where a file holds several documents the line, row or part, so "
        "neighbours in one file can be told. No other relation is stated."
    ]


def _splits(facts: DatasetFacts) -> list[Block]:
    return [facts.split_rule, Table("Splits", facts.splits), Table("Boundaries in time", facts.split_boundaries)]


def _noise(facts: DatasetFacts) -> list[Block]:
    blocks: list[Block] = []
    if facts.dropped:
        total = sum(int(row.get("documents", 0)) for row in facts.dropped)
        blocks.append(f"{total:,} documents were dropped, for the reasons below; what the rules miss is still there.")
    blocks += [Table("Duplicates", facts.duplicates), Table("Overlap with benchmarks", facts.contamination)]
    if facts.expectations:
        blocks.append(f"The data passed {len(facts.expectations):,} automatic checks.")
        blocks.append(Table("Checks", facts.expectations))
    return blocks


def _external(facts: DatasetFacts) -> list[Block]:
    if not facts.sources:
        return []
    digests = " Digests of the data are under maintenance, so a changed source is noticed." if facts.digests else ""
    return [f"It stands on its own: the texts are in it, not links to them.{digests}"]


def _identifiable(facts: DatasetFacts) -> list[Block]:
    if not facts.personal_data_rule:
        return []
    found = Table("Personal data found", facts.personal_data)
    return [facts.personal_data_rule, found if facts.personal_data else "None was found."]


def _acquisition(facts: DatasetFacts) -> list[Block]:
    return [Table("Sources", facts.sources)] if facts.sources else []


def _mechanisms(facts: DatasetFacts) -> list[Block]:
    if not facts.software:
        return []
    return ["Read by software from the sources above; its versions are under preprocessing."]


def _sampling(facts: DatasetFacts) -> list[Block]:
    if facts.not_chosen:
        return [
            "By a stable hash of each document's id: those with the smallest hashes were taken, always the same ones."
        ]
    return ["No sample was drawn by the pipeline."] if facts.documents_read is not None else []


def _timeframe(facts: DatasetFacts) -> list[Block]:
    if not facts.created_oldest:
        return []
    return [
        f"The documents date from {facts.created_oldest} to {facts.created_newest}, by the dates that sources give."
    ]


def _done(facts: DatasetFacts) -> list[Block]:
    return [
        *facts.cleaning_steps,
        Table("Changed by repairs", facts.repairs),
        Table("Dropped, by reason", facts.dropped),
        *(Table(title, rows) for title, rows in facts.more_tables.items()),
        _tokenized(facts.tokenizer),
    ]


def _tokenized(tokenizer: Mapping[str, Any]) -> str:
    if not tokenizer:
        return ""
    return "For training, texts are turned into tokens: " + ", ".join(f"{k} {v}" for k, v in tokenizer.items()) + "."


def _raw(facts: DatasetFacts) -> list[Block]:
    if "raw" not in facts.digests:
        return []
    return [f"Yes, `data/raw` holds the documents as they were read (sha256 {facts.digests['raw']})."]


def _software(facts: DatasetFacts) -> list[Block]:
    if not facts.software:
        return []
    rows = [{"software": name, "version": version} for name, version in facts.software.items()]
    return ["Yes: TissLM, under the Apache License 2.0, on these libraries.", Table("Versions", rows)]


def _license(facts: DatasetFacts) -> list[Block]:
    rows = [
        {"source": row["source"], "license": row.get("license") or "not stated by the source"} for row in facts.sources
    ]
    if not any(row.get("license") for row in facts.sources):
        return []
    return [
        "The sources state the licences below; a package's licence covers the package, which need not be "
        "that of its texts.",
        Table("Licences stated by the sources", rows),
    ]


def _updates(facts: DatasetFacts) -> list[Block]:
    rows = [{"data": name, "sha256": digest} for name, digest in facts.digests.items()]
    return ["This version is the one with these digests.", Table("Digests", rows)] if rows else []


def _contributions(facts: DatasetFacts) -> list[Block]:
    if not facts.parameters:
        return []
    rows = [{"setting": name, "value": _shown(value)} for name, value in facts.parameters.items()]
    return ["The pipeline makes it again from its sources and these settings.", Table("Settings", rows)]


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


ANSWERS: dict[str, Callable[[DatasetFacts], list[Block]]] = {
    "composition.instances": _instances,
    "composition.count": _count,
    "composition.sample": _sample,
    "composition.content": _content,
    "composition.labels": _labels,
    "composition.missing": _missing,
    "composition.relations": _relations,
    "composition.splits": _splits,
    "composition.noise": _noise,
    "composition.external": _external,
    "composition.identifiable": _identifiable,
    "collection.acquisition": _acquisition,
    "collection.mechanisms": _mechanisms,
    "collection.sampling": _sampling,
    "collection.timeframe": _timeframe,
    "preprocessing.done": _done,
    "preprocessing.raw": _raw,
    "preprocessing.software": _software,
    "distribution.license": _license,
    "maintenance.updates": _updates,
    "maintenance.contributions": _contributions,
}
