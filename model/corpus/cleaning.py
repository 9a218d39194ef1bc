"""The way of documents through cleaning: judged one by one, placed all together, written to their splits.

Three passes. Each document is repaired and judged by itself (`judging.py`, shard by shard, side by side); duplicates
and splits are decided from digests and signatures (`placing.py`, once); the splits are written (`writing.py`, shard
by shard, side by side). The output depends on the documents and the config alone, never on the number of workers, and
a run that was cut off goes on with the shards that are not done.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.corpus.cleaning_result import CleaningResult
from model.corpus.config import CleanConfig
from model.corpus.documents import count_documents
from model.corpus.judging import DROPPED, RAW_FACTS, ShardToJudge, judge_shard, shards_to_judge
from model.corpus.line_counting import repeated_lines
from model.corpus.placing import Placement, place_documents
from model.corpus.reasons import OF_ONE_DOCUMENT, REASONS
from model.corpus.shard_runner import SerialRunner, ShardRunner
from model.corpus.split import SPLITS
from model.corpus.unit_store import UnitStore, code_digest, link_file, open_unit_store, run_units
from model.corpus.writing import FACTS, ShardToWrite, write_shard
from model.errors import CorpusError
from model.files import MANIFEST, content_digest, files_below, folder_digest, sha256_file

CODES = "codes.npy"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Judged:
    """What the first pass has left behind.

    Attributes:
        units: The shards, in order.
        folders: Their finished folders.
        result: What has become of the documents so far.
    """

    units: list[ShardToJudge]
    folders: list[Path]
    result: CleaningResult

    @property
    def raw_facts(self) -> list[Path]:
        """The files with one row of facts for each raw document."""
        return [folder / RAW_FACTS for folder in self.folders]


@dataclass(frozen=True)
class Cleaned:
    """What cleaning has done.

    Attributes:
        result: Counts and statistics.
        facts: The files with one row of facts for each written document; they last as long as the store.
        tables: Duplicates, boundaries of time and the like, by title.
    """

    result: CleaningResult
    facts: list[Path]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@contextmanager
def cleaning_store(config: CleanConfig, raw: Path, root: Path, pii_key: bytes | None = None) -> Iterator[UnitStore]:
    """Where the passes keep what is done, below `root`; the same config, key, documents and code find it again."""
    if (raw / MANIFEST).is_file():
        documents = folder_digest(raw)
    else:
        documents = content_digest({name: sha256_file(raw / name) for name in files_below(raw)})
    identity = {
        "config": config.model_dump(mode="json"),
        "raw": documents,
        "code": code_digest(Path(__file__).parent),
        "pii_key": hashlib.sha256(pii_key or b"").hexdigest(),
    }
    with open_unit_store(root, "clean", identity) as store:
        yield store


def clean_documents(
    config: CleanConfig,
    raw: Path,
    out: Path,
    *,
    runner: ShardRunner | None = None,
    root: Path | None = None,
    pii_key: bytes | None = None,
    on_progress: Progress = lambda _done, _total, _what: None,
) -> CleaningResult:
    """Clean the documents in `raw` into `out/train`, `out/validation` and `out/test`, in bounded memory.

    Args:
        config: What to repair, drop and split.
        raw: Folder of documents; it is only read.
        out: Folder to fill.
        runner: Where shards are worked on; None does them here, one after the other.
        root: Where unfinished work is kept (`.tisslm/work`); None takes the folder of `out`.
        pii_key: Key of hashed personal data.
        on_progress: Told documents done, documents in all, and what is being done.

    Raises:
        CorpusError: No document is left, or a split has none.
    """
    runner = runner or SerialRunner()
    with cleaning_store(config, raw, root or out.parent, pii_key) as store:
        judged = judge_documents(config, raw, store, runner, pii_key=pii_key, on_progress=on_progress)
        return write_documents(config, judged, out, store, runner, root=root, on_progress=on_progress).result


def judge_documents(
    config: CleanConfig,
    raw: Path,
    store: UnitStore,
    runner: ShardRunner,
    *,
    pii_key: bytes | None = None,
    on_progress: Progress = lambda _done, _total, _what: None,
) -> Judged:
    """The first pass: every document by itself."""
    total = count_documents(raw)

    def on_counted(done: int, files: int) -> None:
        on_progress(done, files, "files whose lines were counted")

    lines = repeated_lines(config, raw, store, runner, on_counted)
    units = shards_to_judge(raw, config, lines, pii_key)

    def on_done(done: int) -> None:
        on_progress(total * done // len(units), total, "documents judged")

    result = _merged(run_units(runner, store, judge_shard, units, on_done), config)
    return Judged(units, [store.unit_folder(unit.key) for unit in units], result)


def write_documents(
    config: CleanConfig,
    judged: Judged,
    out: Path,
    store: UnitStore,
    runner: ShardRunner,
    *,
    root: Path | None = None,
    on_progress: Progress = lambda _done, _total, _what: None,
) -> Cleaned:
    """The second and third pass: duplicates, splits, and the files in `out`.

    Raises:
        CorpusError: No document is left (the message says which step dropped how many), or a split has none.
    """
    total = judged.result.documents
    if judged.result.dropped.total() == total:
        raise CorpusError(_nothing_left(config, judged.result))
    placement = place_documents(config, judged.folders, store.folder, root or out.parent, on_progress)
    units = _units_to_write(config, judged, placement, store)

    def on_done(done: int) -> None:
        on_progress(total * done // len(units), total, "documents written")

    written = _merged(run_units(runner, store, write_shard, units, on_done), config)
    folders = [store.unit_folder(unit.key) for unit in units]
    for split in SPLITS:
        _gather([folder / split for folder in folders], out / split)
    if config.keep_dropped:
        _gather([folder / DROPPED for folder in [*judged.folders, *folders]], out / DROPPED)
    result = judged.result
    result.merge(written, config.examples_per_reason)
    assert result.documents == result.kept + result.dropped.total(), "a document was neither kept nor dropped"  # noqa: S101
    return Cleaned(result, [folder / FACTS for folder in folders], placement.tables)


def _merged(results: Sequence[dict[str, Any]], config: CleanConfig) -> CleaningResult:
    merged = CleaningResult()
    for values in results:
        merged.merge(CleaningResult.from_json(values), config.examples_per_reason)
    return merged


def _units_to_write(config: CleanConfig, judged: Judged, placement: Placement, store: UnitStore) -> list[ShardToWrite]:
    """One unit for each file of raw documents."""
    import numpy as np

    codes = store.folder / CODES
    np.save(codes, placement.codes)
    units = []
    rows = zip(judged.units, judged.folders, placement.starts, strict=False)
    for file, group in itertools.groupby(rows, lambda row: row[0].file):
        members = list(group)
        folders = tuple(folder for _, folder, _ in members)
        units.append(ShardToWrite(file.name, folders, codes, members[0][2], config))
    return units


def _gather(folders: Sequence[Path], target: Path) -> None:
    """Give the Parquet files of some folders one row of names in `target`; they share the bytes."""
    target.mkdir(parents=True, exist_ok=True)
    files = [path for folder in folders for path in sorted(folder.glob("part-*.parquet"))]
    for number, path in enumerate(files):
        link_file(path, target / f"part-{number:05d}.parquet")


def _nothing_left(config: CleanConfig, result: CleaningResult) -> str:
    limits = {"too_short": f" ({config.min_characters:,})", "too_long": f" ({config.max_characters or 0:,})"}
    meanings = reason_meanings(config)
    reasons = "; ".join(
        f"{n:,} {reason}: {meanings.get(reason, reason)}{limits.get(reason, '')}"
        for reason, n in result.dropped.most_common()
    )
    return f"clean: no documents left of {result.documents:,}; {reasons}; change these settings or add other texts"


def reason_meanings(config: CleanConfig) -> dict[str, str]:
    """What each reason to drop a document means under a config, in the order in which they are tried."""
    if not config.filters:
        return dict(REASONS)
    from model.corpus.filters.chain import FilterChain

    first = {reason: REASONS[reason] for reason in OF_ONE_DOCUMENT}
    return {**first, **FilterChain(config.filters).reasons, **REASONS}
