"""A pass before cleaning, only where it is asked for: in how many documents of a source each line stands."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.corpus.boilerplate import RepeatedLines
from model.corpus.config import CleanConfig
from model.corpus.documents import document_batches, document_files, read_document_file
from model.corpus.judging import BATCH_CHARACTERS, BATCH_DOCUMENTS, normalized
from model.corpus.normalize import repairs
from model.corpus.shard_runner import ShardRunner
from model.corpus.unit_store import UnitStore, run_units

LINES = "lines.npz"


@dataclass(frozen=True)
class FileToCount:
    """A file of raw documents.

    Attributes:
        file: The Parquet file.
        config: How texts are repaired before their lines are compared.
    """

    file: Path
    config: CleanConfig

    @property
    def key(self) -> str:
        """Names the unit among those of one corpus and config."""
        return f"lines-{self.file.stem}"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.file.name


def count_lines(unit: FileToCount, folder: Path) -> int:
    """Write `lines.npz`, the counts of one file; returns the number of documents."""
    lines, wanted, n = RepeatedLines(), repairs(unit.config.normalize), 0
    for batch in document_batches(read_document_file(unit.file), BATCH_CHARACTERS, BATCH_DOCUMENTS):
        n += len(batch)
        for source, documents in itertools.groupby(batch, lambda document: document.source):
            lines.add([normalized(document.text, wanted, Counter()) for document in documents], source)
    lines.save(folder / LINES)
    return n


def repeated_lines(
    config: CleanConfig, raw: Path, store: UnitStore, runner: ShardRunner, on_done: Callable[[int, int], None]
) -> Path | None:
    """The file with the counts of all raw documents, or None where nobody asked for them."""
    if config.boilerplate is None or config.boilerplate.repeated_share is None:
        return None
    units = [FileToCount(path, config) for path in document_files(raw)]
    run_units(runner, store, count_lines, units, lambda done: on_done(done, len(units)))
    merged = RepeatedLines()
    for unit in units:
        merged.merge(RepeatedLines.load(store.unit_folder(unit.key) / LINES))
    target = store.folder / LINES
    merged.save(target)
    return target
