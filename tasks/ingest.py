"""Stage `ingest`: sources become `data/raw`, documents in Parquet; what cannot be read is set aside and reported.

The sources are cut into units of about 64 MB (`model/corpus/units.py`), each unit is read apart from the others into
Parquet shards of its own (`model/corpus/ingest_unit.py`), and the shards are numbered in the order of the units: the
same bytes whatever the number of workers, and after a kill.
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import model.corpus
from model.corpus.ingest_unit import HASHES, hash_unit, write_unit
from model.corpus.package_files import package_version
from model.corpus.reading import FileOutcome
from model.corpus.remote_files import downloads_of
from model.corpus.set_aside import Quarantine
from model.corpus.shard_runner import SerialRunner, ShardRunner
from model.corpus.sources import IngestConfig, PackageSource
from model.corpus.statistics import GroupStatistics
from model.corpus.unit_store import UnitStore, code_digest, link_file, open_unit_store, run_units
from model.corpus.units import IngestUnit, plan_units
from model.errors import CorpusError
from model.files import content_digest, files_below, sha256_file
from tasks.graph import DATA
from tasks.journal import Journal
from tasks.report import StageReport

EXAMPLES = 100
HERE = SerialRunner()
LIBRARIES = ("pyarrow", "trafilatura", "lxml", "zstandard")


@dataclass
class _Totals:
    """What all units gave together, merged in their order."""

    quarantine: Quarantine = field(default_factory=Quarantine)
    sources: dict[str, GroupStatistics] = field(default_factory=dict)
    documents: int = 0
    left_out: int = 0


def ingest(
    config: IngestConfig, out: Path, journal: Journal, root: Path = Path(), runner: ShardRunner = HERE
) -> StageReport:
    """Read all sources into `out`, in bounded memory, going on with what an interrupted attempt has finished.

    Args:
        config: The sources.
        out: Folder to fill with documents.
        journal: Takes progress and the finished dataset.
        root: The folder that local paths are relative to; `.tisslm` in it holds finished units and downloads.
        runner: Who works on the units; never changes a byte.

    Raises:
        CorpusError: A source does not exist or stopped answering, or not one document could be read.
    """
    root = root.resolve()
    with open_unit_store(root, "ingest", _identity()) as store:
        units = plan_units(config, root, store.folder / "plan.jsonl")
        limit = _largest_hash(config, root, runner, store, units, journal)
        work = functools.partial(write_unit, config, root, limit)
        keyed = [_with_limit(unit, limit) for unit in units]
        results = run_units(runner, store, work, keyed, _progress(journal, units, "MB"))
        totals = _merged(config, units, results)
        if not totals.documents:
            raise CorpusError(_nothing_read(config, totals.quarantine))
        _collect(store, keyed, results, out)
    shutil.rmtree(downloads_of(root), ignore_errors=True)
    report = _report(config, totals)
    digest = content_digest({name: sha256_file(out / name) for name in files_below(out)})
    journal.dataset("raw", Path(DATA) / "raw", digest, "ingest", report.metrics)
    return report


def _identity() -> dict[str, str]:
    """What decides a unit's bytes beside its own key: code and libraries."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"code": code_digest(Path(model.corpus.__path__[0])), **versions}


def _with_limit(unit: IngestUnit, limit: int | None) -> IngestUnit:
    return unit if limit is None else IngestUnit(**{**unit.__dict__, "key": f"{unit.key}-{limit:x}"})


def _largest_hash(
    config: IngestConfig, root: Path, runner: ShardRunner, store: UnitStore, units: list[IngestUnit], journal: Journal
) -> int | None:
    """The hash up to which documents are taken, so that there are `max_documents` of them; None takes all."""
    if config.max_documents is None:
        return None
    import numpy as np

    journal.say(f"choosing {config.max_documents:,} documents")
    keyed = [IngestUnit(**{**unit.__dict__, "key": f"{unit.key}-of-{config.max_documents}"}) for unit in units]
    work = functools.partial(hash_unit, config, root)
    run_units(runner, store, work, keyed, _progress(journal, units, "MB looked at"))
    smallest = np.empty(0, np.uint64)
    for unit in keyed:
        found = np.load(store.unit_folder(unit.key) / HASHES)
        smallest = np.sort(np.concatenate([smallest, found]))[: config.max_documents]
    return int(smallest[-1]) if len(smallest) else -1


def _progress(journal: Journal, units: list[IngestUnit], what: str) -> Callable[[int], None]:
    sizes = [0.0, *itertools.accumulate(unit.n_bytes / 1e6 for unit in units)]

    def on_done(done: int) -> None:
        journal.progress(sizes[done], sizes[-1], what, units=done)  # which units are done matters little for this

    return on_done


def _merged(config: IngestConfig, units: list[IngestUnit], results: list[dict[str, Any]]) -> _Totals:
    totals = _Totals(sources={source.name: GroupStatistics() for source in config.sources})
    for number, (unit, result) in enumerate(zip(units, results, strict=True)):
        source = config.sources[unit.source].name
        totals.quarantine.merge(Quarantine.from_json(result["quarantine"]))
        totals.sources[source].merge(GroupStatistics.from_json(result["statistics"]))
        totals.documents += result["documents"]
        totals.left_out += result["left_out"]
        if result["part"] is not None and _is_last_part(units, results, number):
            _count_parts(source, results[: number + 1], totals.quarantine)
    quarantine = totals.quarantine
    assert quarantine.files == quarantine.files_read + quarantine.files_set_aside, "a file was lost"  # noqa: S101
    return totals


def _is_last_part(units: list[IngestUnit], results: list[dict[str, Any]], number: int) -> bool:
    following = number + 1
    return (
        following == len(units)
        or units[following].source != units[number].source
        or results[following]["part_of"] != results[number]["part_of"]
    )


def _count_parts(source: str, results: list[dict[str, Any]], quarantine: Quarantine) -> None:
    """Count the file whose ranges the last results are."""
    name, outcome = results[-1]["part_of"], FileOutcome()
    parts = []
    for result in reversed(results):
        if result["part"] is None or result["part_of"] != name:
            break
        parts.append(result["part"])
    for part in reversed(parts):
        first, refused = (tuple(part[key]) if part[key] else None for key in ("first", "refused"))
        outcome.merge(FileOutcome(part["documents"], first, refused))
    outcome.count(source, name, quarantine)


def _collect(store: UnitStore, units: list[IngestUnit], results: list[dict[str, Any]], out: Path) -> None:
    """Give the units' shards their places in the output, numbered through."""
    out.mkdir(parents=True, exist_ok=True)
    number = 0
    for unit, result in zip(units, results, strict=True):
        for name in result["shards"]:
            link_file(store.unit_folder(unit.key) / name, out / f"part-{number:05d}.parquet")
            number += 1


def _report(config: IngestConfig, totals: _Totals) -> StageReport:
    quarantine, sources = totals.quarantine, totals.sources
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
            "documents_not_chosen": totals.left_out,
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
        globs = ", ".join(sorted({getattr(source, "glob", "") for source in config.sources}))
        return f"ingest: no files in {names}, expected some that match {globs}; correct ingest.sources"
    counts = ", ".join(f"{n:,} {reason}" for reason, n in quarantine.files_by_reason.most_common())
    first = quarantine.rows[0]
    return (
        f"ingest: no document could be read from {quarantine.files:,} files in {names}: set aside {counts}; "
        f"the first is {first.source}/{first.file}: {first.detail}"
    )
