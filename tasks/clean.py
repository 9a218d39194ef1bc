"""Stage `clean`: `data/raw` becomes `data/clean/{train,validation,test}`, guarded by expectations on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.corpus.cleaning import CleaningResult, clean_documents
from model.corpus.config import CleanConfig
from model.corpus.documents import count_documents
from model.corpus.facts import fact_batches
from model.corpus.filters import REASONS
from model.corpus.split import SPLITS
from model.files import content_digest, files_below, sha256_file
from tasks.expectations.validation import ValidationSummary, validate
from tasks.graph import DATA
from tasks.journal import Journal
from tasks.params import flatten
from tasks.report import StageReport

CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
PROGRESS_EVERY = 512


def clean(config: CleanConfig, raw: Path, out: Path, journal: Journal, report_folder: Path) -> StageReport:
    """Check, clean, split and check again, in bounded memory.

    Args:
        config: What to repair, drop and split.
        raw: Folder of documents; only read.
        out: Folder to fill with one folder of documents for each split.
        journal: Takes progress and the finished datasets.
        report_folder: Takes the Data Docs.

    Raises:
        ExpectationError: Raw or clean documents are not what their suite expects.
        CorpusError: No document is left, or a split has none.
    """
    docs = report_folder / "data_docs"
    checked = {"raw": _check("raw", config, {"": raw}, docs, journal)}
    journal.say("cleaning")
    result = clean_documents(config, raw, out, lambda done, total: journal.progress(done, total, "documents"))
    checked["clean"] = _check("clean", config, {split: out / split for split in SPLITS}, docs, journal)
    report = _report(config, result, checked)
    for split in SPLITS:
        digest = content_digest({name: sha256_file(out / split / name) for name in files_below(out / split)})
        profile = {k: float(v) for k, v in result.statistics.splits[split].row().items()}
        journal.dataset(f"clean/{split}", Path(DATA) / "clean" / split, digest, CONTEXTS[split], profile)
    return report


def _check(
    suite: str, config: CleanConfig, folders: dict[str, Path], docs: Path, journal: Journal
) -> ValidationSummary:
    total = sum(count_documents(folder) for folder in folders.values())
    journal.say(f"checking {total:,} {suite} documents")

    def on_document(done: int) -> None:
        if done % PROGRESS_EVERY == 0:
            journal.progress(done, total, f"{suite} documents checked")

    settings = flatten(config.model_dump(mode="json"))
    return validate(suite, fact_batches(folders, on_document=on_document), docs, settings)


def _report(config: CleanConfig, result: CleaningResult, checked: dict[str, ValidationSummary]) -> StageReport:
    statistics = result.statistics
    words = statistics.all_words()
    dropped = result.dropped.total()
    sizes = "/".join(f"{statistics.splits[split].documents:,}" for split in SPLITS)
    tables: dict[str, list[dict[str, Any]]] = {
        "Documents in = kept + dropped": [{"documents": result.documents, "kept": result.kept, "dropped": dropped}],
        "Dropped, by reason": [
            {
                "reason": reason,
                "documents": n,
                "characters": result.dropped_characters[reason],
                "meaning": REASONS[reason],
            }
            for reason, n in result.dropped.most_common()
        ],
        "Dropped, examples": [
            {"reason": reason, "id": name, "text": text}
            for reason, examples in sorted(result.examples.items())
            for name, text in examples
        ],
        "Changed by normalization": [{"repair": name, "documents": n} for name, n in result.changed.most_common()],
        "Splits": statistics.split_rows(),
        "Sources": statistics.source_rows(),
        **{f"Expectations, {suite}": summary.table() for suite, summary in checked.items()},
    }
    return StageReport(
        headline=f"kept {result.kept:,} of {result.documents:,} documents, train/validation/test {sizes}",
        metrics={
            "documents": result.documents,
            "kept": result.kept,
            "dropped": dropped,
            **{f"dropped_{reason}": result.dropped[reason] for reason in REASONS},
            "characters": sum(group.characters for group in statistics.splits.values()),
            "bytes": sum(group.n_bytes for group in statistics.splits.values()),
            "words": words.total,
            "vocabulary": words.vocabulary,
            **{f"{split}_documents": statistics.splits[split].documents for split in SPLITS},
            **{f"{split}_bytes": statistics.splits[split].n_bytes for split in SPLITS},
            "expectations": sum(len(summary.outcomes) for summary in checked.values()),
        },
        series={"lengths": statistics.length_rows(), "words": statistics.word_rows()},
        tables={title: rows for title, rows in tables.items() if rows},
        facts={
            "config": config.model_dump(mode="json"),
            "vocabulary_is_exact": words.is_exact,
            "quantiles": "of characters per document, at most 3 % too small",
            "data_docs": [f"data_docs/{suite}.html" for suite in checked],
        },
    )
