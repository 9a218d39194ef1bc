"""What the stages have measured about the corpus, from their reports and folders, as the facts of a datasheet."""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.datasheet.config import DatasheetConfig
from model.corpus.datasheet.facts import DatasetFacts
from model.corpus.documents import document_files
from model.corpus.split_by_time import moment_of
from model.dataset.shards import TokenDataset
from model.files import folder_digest
from tasks.report import Row, StageReport, read_report

if TYPE_CHECKING:
    from tasks.params import Params

SPLITS = ("train", "validation", "test")
LIBRARIES = ("tisslm", "numpy", "pyarrow", "ftfy", "tokenizers", "py3langid", "trafilatura")
DESCRIBED = ("ingest", "clean", "tokenizer", "tokenize")
LONGEST_LICENSE = 100
TITLED_BY = 3
QUOTING = {"text", "shared", "example", "excerpt", "begins"}
KINDS = {"package": "a Python package", "path": "local files", "url": "files behind an address"}


def gather(
    config: DatasheetConfig, raw: Path, clean: Path, tokens: Path, reports: Path, params: Params
) -> DatasetFacts:
    """Everything that the stages have measured about the corpus."""
    ingested, cleaned, tokenizer, tokenized = (read_report(reports, stage) for stage in DESCRIBED)
    sorted_tables = _sorted_tables(cleaned)
    return DatasetFacts(
        title=config.title or _title([source.name for source in params.ingest.sources]),
        documents=_count(cleaned, "kept"),
        characters=_count(cleaned, "characters"),
        bytes=_count(cleaned, "bytes"),
        words=_count(cleaned, "words"),
        tokens=_count(tokenized, "tokens"),
        sources=_sources(params, ingested, tokens),
        languages=_languages(tokens),
        splits=_merged(sorted_tables["splits"], tokenized.tables.get("Splits", []), "split"),
        split_rule=_split_rule(params),
        split_boundaries=sorted_tables["boundaries"],
        files_set_aside=ingested.tables.get("Set aside, by reason", []),
        documents_read=_count(cleaned, "documents"),
        not_chosen=_count(ingested, "documents_not_chosen") or 0,
        dropped=sorted_tables["dropped"],
        repairs=sorted_tables["repairs"],
        cleaning_steps=_cleaning_steps(params, _count(cleaned, "augmented") or 0),
        duplicates=sorted_tables["duplicates"],
        personal_data=sorted_tables["personal"],
        personal_data_rule=_personal_data_rule(params),
        contamination=sorted_tables["contamination"],
        expectations=sorted_tables["expectations"],
        **_dates(clean),
        tokenizer={
            "vocabulary of": f"{tokenized.facts.get('vocab_size')} ids",
            "bytes per token": tokenized.metrics.get("bytes_per_token"),
            "sha256": tokenized.facts.get("tokenizer_digest"),
        },
        digests={path.name: folder_digest(path) for path in (raw, clean, tokens)},
        software={"python": platform.python_version(), **_versions(LIBRARIES)},
        parameters={k: v for k, v in params.flat().items() if k.partition(".")[0] in DESCRIBED},
        more_tables=sorted_tables["more"] | _more_of(tokenizer),
    )


def _title(names: Sequence[str]) -> str:
    more = len(names) - TITLED_BY
    return ", ".join(names[:TITLED_BY]) + (f" and {more} more" if more > 0 else "")


def _count(report: StageReport, name: str) -> int | None:
    value = report.metrics.get(name)
    return None if value is None else int(value)


def _sorted_tables(cleaned: StageReport) -> dict[str, Any]:
    """The tables of `clean` by what they are about; those that quote texts stay out of a datasheet."""
    subjects = {
        "boundaries": ("splits by time",),
        "splits": ("splits",),
        "dropped": ("dropped, by",),
        "repairs": ("changed by",),
        "duplicates": ("duplicate", "cluster"),
        "personal": ("personal", "pii"),
        "contamination": ("contamination", "overlap", "benchmark"),
        "expectations": ("expectations",),
    }
    found: dict[str, Any] = {subject: [] for subject in subjects} | {"more": {}}
    for title, rows in cleaned.tables.items():
        lowered = title.lower()
        quotes = any(QUOTING & set(row) for row in rows)
        if quotes or "example" in lowered or lowered.startswith(("documents in", "sources", "languages")):
            continue
        subject = next((s for s, words in subjects.items() if any(word in lowered for word in words)), None)
        other_columns = subject is not None and found[subject] and list(found[subject][0]) != list(rows[0])
        if subject is None or other_columns:
            found["more"][title] = rows
        else:
            found[subject] = [*found[subject], *rows]
    return found


def _more_of(tokenizer: StageReport) -> dict[str, Sequence[Row]]:
    rows = tokenizer.tables.get("Splits", [])
    return {"Tokenizer, by split": rows} if rows else {}


def _sources(params: Params, ingested: StageReport, tokens: Path) -> list[Row]:
    """What params say of each source, its package's version and licence, how much was read of it and how much kept."""
    counts = {row["source"]: row for row in ingested.tables.get("Sources", [])}
    kept = _group_sums(tokens, "source")
    rows = []
    for source in params.ingest.sources:
        values = source.model_dump(mode="json")
        kind, place = next(
            ((words, values[key]) for key, words in KINDS.items() if values.get(key)), ("texts made by a program", "")
        )
        package = str(values.get("package") or "").partition(".")[0]
        known: Row = counts.get(source.name, {})
        rows.append(
            {
                "source": source.name,
                "kind": kind,
                "place": place,
                **({"version": _versions([package]).get(package, ""), "license": _license(package)} if package else {}),
                "language": values.get("language", ""),
                **{f"{key}_read": known[key] for key in ("documents", "characters") if key in known},
                **{key: n for key, n in kept.get(source.name, Counter()).items() if key != "bytes"},
            }
        )
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key, "") for key in columns} for row in rows]


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _license(package: str) -> str:
    """The licence that a package states: as SPDX expression, in a word, or as classifiers."""
    try:
        metadata = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
    for name in ("License-Expression", "License"):
        stated = (metadata.get_all(name) or [""])[0]
        if stated and len(stated) <= LONGEST_LICENSE:
            return str(stated)
    classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    return ", ".join(c.rpartition(" :: ")[2] for c in classifiers)


def _languages(tokens: Path) -> list[Row]:
    """Documents, bytes and tokens of each language over all splits."""
    sums = _group_sums(tokens, "language")
    total = max(1, sum(counts["tokens"] for counts in sums.values()))
    rows = [
        {"language": name or "not stated", **counts, "share_of_tokens": round(counts["tokens"] / total, 4)}
        for name, counts in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row["tokens"], row["language"]))


def _group_sums(tokens: Path, by: str) -> dict[str, Counter[str]]:
    sums: dict[str, Counter[str]] = {}
    for split in SPLITS:
        for group in TokenDataset.open(tokens, split).groups:
            counts = {"documents": group.documents, "bytes": group.bytes, "tokens": group.tokens}
            sums.setdefault(group.key(by), Counter()).update(counts)
    return sums


def _merged(rows: Sequence[Row], more: Sequence[Row], key: str) -> list[Row]:
    """Rows with the tokens that another table has for the same key."""
    tokens = {row[key]: row.get("tokens") for row in more}
    wanted = ("documents", "characters", "bytes", "words", "median", "longest")
    order = {name: index for index, name in enumerate(SPLITS)}
    return [
        {key: row[key], **{k: row[k] for k in wanted if k in row}, "tokens": tokens.get(row[key])}
        for row in sorted(rows, key=lambda row: order.get(row[key], len(order)))
    ]


def _split_rule(params: Params) -> str:
    clean = params.clean
    shares = f"{clean.test_fraction:.0%} test, {clean.validation_fraction:.0%} validation, the rest for training"
    together = " Documents that are nearly the same never lie in two splits." if clean.keep_clusters_together else ""
    if clean.split == "time":
        newest = "the newest documents are the test, those before them tune, all older ones train"
        return f"By date: {newest}; {shares}.{together}"
    return (
        f"By a stable hash of each document's id (seed {clean.split_seed}): {shares}. Adding or removing documents "
        f"moves no other to another split.{together}"
    )


def _cleaning_steps(params: Params, augmented: int) -> list[str]:
    """What `clean` did, in its order, a sentence each."""
    clean = params.clean
    repairs = [
        f"{name} ({value})" if isinstance(value, str) else name
        for name, value in clean.normalize.model_dump(mode="json").items()
        if value and value != "none"
    ]
    most = f", longer than {clean.max_characters:,}" if clean.max_characters else ""
    names = [str(chosen.filter) for chosen in clean.filters]
    references = [source.name for source in clean.deduplicate_against]
    duplicates = {
        "exact": "Of documents with the same text the first was kept.",
        "near": "Of documents with the same or nearly the same text one was kept.",
    }
    removed = "dropped" if clean.contamination.remove == "document" else "counted, not dropped"
    benchmarks = len(clean.contamination.benchmarks)
    steps = [
        f"Texts were repaired: {', '.join(repairs).replace('_', ' ')}." if repairs else "",
        "Menus, notices and lines that a source repeats were taken out." if clean.boilerplate else "",
        f"Documents shorter than {clean.min_characters:,} characters{most} were dropped.",
        f"Filters, in this order: {', '.join(names).replace('_', ' ')}." if names else "",
        duplicates.get(clean.deduplicate, "Duplicates were not removed."),
        f"Copies of texts in {', '.join(references)} were dropped." if references else "",
        f"Training documents that hold items of {benchmarks} benchmarks were {removed}." if benchmarks else "",
        f"{augmented:,} altered variants of training documents were added." if augmented else "",
    ]
    return [step for step in steps if step]


def _personal_data_rule(params: Params) -> str:
    """What was done about personal data; nothing is said where nobody looked."""
    pii = params.clean.pii
    if pii is None:
        return ""
    kinds = ", ".join(f"{kind} ({pii.action_for(kind)})" for kind in pii.kinds).replace("_", " ")
    left = "" if pii.names else " Nobody looked for names, so people can be named."
    return f"Personal data was looked for and replaced, by kind: {kinds}. What these rules miss is still there.{left}"


def _dates(clean: Path) -> dict[str, Any]:
    """The oldest and newest date, documents without one, and those with metadata."""
    oldest = newest = ""
    unknown = with_metadata = 0
    for created, metadata in _columns(clean):
        moment = moment_of(created)
        if moment is None:
            unknown += 1
        else:
            oldest, newest = min(oldest or moment, moment), max(newest, moment)
        with_metadata += metadata not in {"", "{}"}
    return {
        "created_oldest": oldest[:10],
        "created_newest": newest[:10],
        "created_unknown": unknown,
        "has_metadata": with_metadata,
    }


def _columns(clean: Path) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet as pq

    for split in SPLITS:
        for path in document_files(clean / split):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=["created", "metadata"], use_threads=False):
                    yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
