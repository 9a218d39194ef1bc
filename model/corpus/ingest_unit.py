"""The work on one unit of `ingest`: pure functions of the unit, the config and the files, for any `ShardRunner`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.corpus.documents import DocumentWriter, document_files
from model.corpus.readers.source_file import SourceFile
from model.corpus.reading import FileOutcome, read_items
from model.corpus.selection import is_chosen, stable_hash
from model.corpus.set_aside import Quarantine
from model.corpus.sources import IngestConfig
from model.corpus.statistics import GroupStatistics
from model.corpus.units import IngestUnit, unit_items

HASHES = "hashes.npy"


def write_unit(config: IngestConfig, root: Path, limit: int | None, unit: IngestUnit, folder: Path) -> dict[str, Any]:
    """Read a unit's files and write its documents into `folder`.

    Args:
        config: The sources.
        root: The folder that local paths are relative to.
        limit: Largest hash of a document that is taken; None takes all.
        unit: What to read.
        folder: Takes Parquet shards.

    Returns:
        JSON: `quarantine`, `statistics`, `documents`, `left_out`, `shards` (names of files with documents), and for a
        range of lines `part` (`FileOutcome`) of the file `part_of`.
    """
    quarantine, statistics, left_out = Quarantine(), GroupStatistics(), 0
    items, source = unit_items(unit, config, root), config.sources[unit.source]
    part = FileOutcome()
    with DocumentWriter(folder, config.shard_documents) as writer:
        characters = config.max_document_characters
        for document in read_items(source, items, root, characters, quarantine, part, folder):
            if limit is not None and not is_chosen(document.id, limit):
                left_out += 1
                continue
            writer.write(document)
            statistics.add(document.text)
    ranged = [item.name for item in items if isinstance(item, SourceFile) and item.is_range]
    return {
        "quarantine": quarantine.to_json(),
        "statistics": statistics.to_json(),
        "documents": writer.n_documents,
        "left_out": left_out,
        "shards": [path.name for path in document_files(folder)] if writer.n_documents else [],
        "part": asdict(part) if ranged else None,
        "part_of": ranged[0] if ranged else "",
    }


def hash_unit(config: IngestConfig, root: Path, unit: IngestUnit, folder: Path) -> int:
    """Write the smallest `max_documents` hashes of a unit's ids, sorted, as `hashes.npy`; return how many there are."""
    import heapq

    import numpy as np

    n_wanted = config.max_documents or 0
    smallest: list[int] = []
    items, source = unit_items(unit, config, root), config.sources[unit.source]
    characters = config.max_document_characters
    for document in read_items(source, items, root, characters, Quarantine(), FileOutcome(), folder):
        value = -stable_hash("selection", document.id)
        if len(smallest) < n_wanted:
            heapq.heappush(smallest, value)
        else:
            heapq.heappushpop(smallest, value)
    np.save(folder / HASHES, np.sort(np.array([-value for value in smallest], np.uint64)))
    return len(smallest)
