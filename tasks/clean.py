"""Stage `clean`: `data/raw` becomes `data/clean/{train,validation,test}`, guarded by expectations on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.corpus.cleaning import Cleaned, cleaning_store, judge_documents, reason_meanings, write_documents
from model.corpus.config import CleanConfig
from model.corpus.facts import stored_facts
from model.corpus.filters.plots import lengths_plot, waterfall_plot
from model.corpus.filters.report import length_rows, reason_rows, waterfall_rows
from model.corpus.placing import FILLED
from model.corpus.shard_runner import SerialRunner, ShardRunner
from model.corpus.split import SPLITS
from model.files import content_digest, files_below, sha256_file, write_bytes
from tasks.expectations.validation import ValidationSummary, validate
from tasks.graph import DATA
from tasks.journal import Journal
from tasks.params import flatten
from tasks.report import StageReport

CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
PROGRESS_EVERY = 512


def clean(
    config: CleanConfig,
    raw: Path,
    out: Path,
    journal: Journal,
    report_folder: Path,
    *,
    runner: ShardRunner | None = None,
    root: Path | None = None,
    pii_key: bytes | None = None,
) -> StageReport:
    """Check, clean, split and check again, in bounded memory.

    Args:
        config: What to repair, drop and split.
        raw: Folder of documents; only read.
        out: Folder to fill with one folder of documents for each split.
        journal: Takes progress and the finished datasets.
        report_folder: Takes the Data Docs and pictures.
        runner: Where shards are worked on; None does them in this process.
        root: Where unfinished work is kept, so that a killed run goes on; None takes the folder of `out`.
        pii_key: Key of hashed personal data (setting TISSLM_PII_KEY).

    Raises:
        ExpectationError: Raw or clean documents are not what their suite expects.
        CorpusError: No document is left, or a split has none.
    """
    runner = runner or SerialRunner()
    docs = report_folder / "data_docs"
    said = ""

    def on_progress(done: int, total: int, what: str) -> None:
        nonlocal said
        if not done and what != said:
            journal.say(what)
        said = what
        journal.progress(done, total, what)

    with cleaning_store(config, raw, root or out.parent, pii_key) as store:
        journal.say("cleaning")
        judged = judge_documents(config, raw, store, runner, pii_key=pii_key, on_progress=on_progress)
        checked = {"raw": _check("raw", config, judged.raw_facts, judged.result.documents, docs, journal)}
        cleaned = write_documents(config, judged, out, store, runner, root=root, on_progress=on_progress)
        written = cleaned.result.kept + cleaned.result.augmented
        checked["clean"] = _check("clean", config, cleaned.facts, written, docs, journal)
    result = cleaned.result
    if moved := cleaned.tables.get(FILLED):
        told = ", ".join(f"{row['document']} into {row['split']}" for row in moved)
        journal.say(f"few documents, so that each split gets one: {told}")
    report = _report(config, cleaned, checked, report_folder)
    for split in SPLITS:
        digest = content_digest({name: sha256_file(out / split / name) for name in files_below(out / split)})
        profile = {k: float(v) for k, v in result.statistics.splits[split].row().items()}
        journal.dataset(f"clean/{split}", Path(DATA) / "clean" / split, digest, CONTEXTS[split], profile)
    return report


def _check(
    suite: str, config: CleanConfig, facts: list[Path], total: int, docs: Path, journal: Journal
) -> ValidationSummary:
    journal.say(f"checking {total:,} {suite} documents")

    def on_row(done: int) -> None:
        if done % PROGRESS_EVERY == 0:
            journal.progress(done, total, f"{suite} documents checked")

    return validate(suite, stored_facts(facts, on_row), docs, flatten(config.model_dump(mode="json")))


def _report(
    config: CleanConfig, cleaned: Cleaned, checked: dict[str, ValidationSummary], report_folder: Path
) -> StageReport:
    result, meanings = cleaned.result, reason_meanings(config)
    statistics = result.statistics
    words = statistics.all_words()
    dropped = result.dropped.total()
    moved = len(cleaned.tables.get(FILLED, ()))
    filled = f" ({moved} moved so that each split gets one)" if moved else ""
    sizes = "/".join(f"{statistics.splits[split].documents:,}" for split in SPLITS)
    waterfall = waterfall_rows(
        result.documents,
        result.characters,
        result.dropped,
        result.dropped_characters,
        [reason for reason in meanings if result.dropped[reason] or "." in reason],
        result.kept_characters,
    )
    lengths = length_rows(result.lengths_before.histogram(), statistics.all_lengths().histogram())
    write_bytes(report_folder / "waterfall.svg", waterfall_plot(waterfall))
    write_bytes(report_folder / "lengths.svg", lengths_plot(lengths))
    tables: dict[str, list[dict[str, Any]]] = {
        "Documents in = kept + dropped": [{"documents": result.documents, "kept": result.kept, "dropped": dropped}],
        "Waterfall": waterfall,
        "Dropped, by reason": [
            {key: value for key, value in row.items() if key != "examples"}
            for row in reason_rows(
                result.documents, result.dropped, result.dropped_characters, meanings, result.examples
            )
        ],
        "Dropped, examples": [
            {"reason": reason, "id": name, "text": text}
            for reason, examples in sorted(result.examples.items())
            for name, text in examples
        ],
        "Changed by normalization": [{"repair": name, "documents": n} for name, n in result.changed.most_common() if n],
        "Personal data": [
            {"kind": kind, "found": n, "documents": result.pii_documents[kind]}
            for kind, n in result.pii_entities.most_common()
        ],
        **cleaned.tables,
        "Splits": statistics.split_rows(),
        "Sources": statistics.source_rows(),
        "Languages": statistics.language_rows(),
        **{f"Expectations, {suite}": summary.table() for suite, summary in checked.items()},
    }
    return StageReport(
        headline=f"kept {result.kept:,} of {result.documents:,} documents, train/validation/test {sizes}{filled}",
        metrics={
            "documents": result.documents,
            "kept": result.kept,
            "dropped": dropped,
            **{f"dropped_{reason.replace('.', '_')}": result.dropped[reason] for reason in meanings},
            "characters": sum(group.characters for group in statistics.splits.values()),
            "bytes": sum(group.n_bytes for group in statistics.splits.values()),
            "words": words.total,
            "vocabulary": words.vocabulary,
            **{f"{split}_documents": statistics.splits[split].documents for split in SPLITS},
            **{f"{split}_bytes": statistics.splits[split].n_bytes for split in SPLITS},
            "augmented": result.augmented,
            "personal_data": result.pii_entities.total(),
            "expectations": sum(len(summary.outcomes) for summary in checked.values()),
        },
        series={
            "lengths": statistics.length_rows(),
            "words": statistics.word_rows(),
            "waterfall": waterfall,
            "lengths_before_after": lengths,
        },
        tables={title: rows for title, rows in tables.items() if rows},
        facts={
            "config": config.model_dump(mode="json"),
            "vocabulary_is_exact": words.is_exact,
            "quantiles": "of characters per document, at most 3 % too small",
            "data_docs": [f"data_docs/{suite}.html" for suite in checked],
        },
    )
