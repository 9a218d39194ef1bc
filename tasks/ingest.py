"""Stage `ingest`: sources become `data/raw`, documents in Parquet; what cannot be read is set aside and reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.corpus.config import IngestConfig, PackageSource
from model.corpus.documents import DocumentWriter
from model.corpus.package_files import package_version
from model.corpus.reading import count_files, read_sources
from model.corpus.selection import is_chosen, largest_chosen_hash
from model.corpus.set_aside import Quarantine
from model.corpus.statistics import GroupStatistics
from model.errors import CorpusError
from model.files import content_digest, files_below, sha256_file
from tasks.graph import DATA
from tasks.journal import Journal
from tasks.report import StageReport

EXAMPLES = 100
PROGRESS_EVERY = 64


def ingest(config: IngestConfig, out: Path, journal: Journal, root: Path = Path()) -> StageReport:
    """Read all sources into `out`, in bounded memory.

    Args:
        config: The sources.
        out: Folder to fill with documents.
        journal: Takes progress and the finished dataset.
        root: The folder that local paths are relative to.

    Raises:
        CorpusError: A source does not exist, or not one document could be read.
    """
    total = count_files(config, root)
    limit = None
    if config.max_documents is not None:
        journal.say(f"choosing {config.max_documents:,} documents")
        ids = (document.id for document in read_sources(config, root, Quarantine()))
        limit = largest_chosen_hash(ids, config.max_documents)
    quarantine, sources, left_out = Quarantine(), {source.name: GroupStatistics() for source in config.sources}, 0
    n_documents = 0

    def on_file(done: int) -> None:
        journal.progress(done, total, "files", documents=n_documents)

    with DocumentWriter(out, config.shard_documents) as writer:
        for document in read_sources(config, root, quarantine, on_file):
            if limit is not None and not is_chosen(document.id, limit):
                left_out += 1
                continue
            writer.write(document)
            sources[document.source].add(document.text)
            n_documents += 1
            if n_documents % PROGRESS_EVERY == 0:
                on_file(quarantine.files)
    assert quarantine.files == quarantine.files_read + quarantine.files_set_aside, "a file was lost"  # noqa: S101
    if not n_documents:
        raise CorpusError(_nothing_read(config, quarantine))
    report = _report(config, quarantine, sources, left_out)
    digest = content_digest({name: sha256_file(out / name) for name in files_below(out)})
    journal.dataset("raw", Path(DATA) / "raw", digest, "ingest", report.metrics)
    return report


def _report(
    config: IngestConfig, quarantine: Quarantine, sources: dict[str, GroupStatistics], left_out: int
) -> StageReport:
    characters = sum(group.characters for group in sources.values())
    documents = sum(group.documents for group in sources.values())
    versions = {s.package: package_version(s) for s in config.sources if isinstance(s, PackageSource)}
    reasons = _reason_rows(quarantine)
    tables: dict[str, list[dict[str, Any]]] = {
        "Sources": [
            {"source": name, **{key: n for key, n in group.row().items() if key != "words"}}
            for name, group in sources.items()
        ]
    }
    if quarantine.rows:
        tables["Set aside, by reason"] = reasons
        tables["Set aside, the first"] = [asdict(item) for item in quarantine.rows[:EXAMPLES]]
    aside = f", {quarantine.files_set_aside:,} set aside" if quarantine.files_set_aside else ""
    if quarantine.records_set_aside:
        aside += f", {quarantine.records_set_aside:,} lines or rows set aside"
    read = f"{documents:,} documents, {characters / 1e6:.1f} M characters, from {quarantine.files_read:,} files"
    return StageReport(
        headline=read + aside,
        metrics={
            "documents": documents,
            "characters": characters,
            "bytes": sum(group.n_bytes for group in sources.values()),
            "files": quarantine.files,
            "files_read": quarantine.files_read,
            "files_set_aside": quarantine.files_set_aside,
            "records_set_aside": quarantine.records_set_aside,
            "documents_not_chosen": left_out,
        },
        series={"set_aside": [asdict(item) for item in quarantine.rows]} if quarantine.rows else {},
        tables=tables,
        facts={
            "packages": versions,
            "set_aside": {row["reason"]: {"files": row["files"], "records": row["records"]} for row in reasons},
        },
    )


def _reason_rows(quarantine: Quarantine) -> list[dict[str, Any]]:
    both = Counter(quarantine.files_by_reason) + Counter(quarantine.records_by_reason)
    return [
        {
            "reason": reason,
            "files": quarantine.files_by_reason[reason],
            "records": quarantine.records_by_reason[reason],
        }
        for reason, _ in sorted(both.items(), key=lambda item: (-item[1], item[0]))
    ]


def _nothing_read(config: IngestConfig, quarantine: Quarantine) -> str:
    names = ", ".join(source.name for source in config.sources)
    if not quarantine.files:
        globs = ", ".join(sorted({source.glob for source in config.sources}))
        return f"ingest: no files in {names}, expected some that match {globs}; correct ingest.sources"
    counts = ", ".join(f"{n:,} {reason}" for reason, n in quarantine.files_by_reason.most_common())
    first = quarantine.rows[0]
    return (
        f"ingest: no document could be read from {quarantine.files:,} files in {names}: set aside {counts}; "
        f"the first is {first.source}/{first.file}: {first.detail}"
    )
