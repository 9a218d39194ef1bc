"""The journal's files: one JSON object a line, appended and never changed, readable while it is written.

    .tisslm/journal/PIPELINE/STAGE-ATTEMPT.jsonl       the events of one attempt at a stage
    .tisslm/journal/PIPELINE/STAGE-ATTEMPT/            copies of its small files, so that later runs cannot change them
    .tisslm/journal/PIPELINE/STAGE-ATTEMPT.sent.json   how much of it the tracking server has (written by the courier)

Events: `open` (who, where, params, tags), `resumed`, `metrics`, `tags`, `dataset`, `artifact`, `close`. A line counts
when it ends with a newline and parses; a torn last line is one that a killed process never finished, and is skipped.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.files import storage_errors

Event = dict[str, Any]
PIPELINE_CLOSED = "closed.json"


@dataclass(frozen=True)
class JournalFile:
    """Where one attempt at a stage is journalled, named by pipeline, stage and attempt."""

    path: Path

    @property
    def pipeline(self) -> str:
        """The id of the pipeline run that the attempt belongs to."""
        return self.path.parent.name

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.path.stem.rpartition("-")[0]

    @property
    def attempt(self) -> str:
        """The attempt's own id."""
        return self.path.stem.rpartition("-")[2]

    @property
    def files(self) -> Path:
        """The folder of copied files."""
        return self.path.with_suffix("")

    @property
    def sent(self) -> Path:
        """Where the courier notes what it has delivered."""
        return self.path.with_suffix(".sent.json")

    def first(self) -> Event:
        """The `open` event, or an empty mapping while it is not there yet."""
        return next((event for _, event in read_events(self.path)), {})


def journal_folder(root: Path) -> Path:
    """The folder of all journals of a workspace."""
    return root / ".tisslm" / "journal"


def journal_files(root: Path) -> list[JournalFile]:
    """All journals of a workspace, in order of their names."""
    return [JournalFile(path) for path in sorted(journal_folder(root).glob("*/*-*.jsonl"))]


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[int, Event]]:
    """Complete events from a byte offset on, each with the offset after it."""
    try:
        file = open(path, "rb")  # noqa: SIM115  (a generator closes it below)
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield offset, event


class EventWriter:
    """Appends events to one journal file: one `write` of one line each, no buffer that a kill could lose."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._torn = False
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, event: Event) -> None:
        """Append one event.

        Raises:
            StorageError: The disk is full; the events written before are whole.
        """
        line = (json.dumps(event, ensure_ascii=False, allow_nan=False, default=str) + "\n").encode("utf-8", "replace")
        with self._lock, storage_errors(self.path, len(line)):
            data = b"\n" + line if self._torn else line
            self._torn = True
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            self._torn = False

    def close(self) -> None:
        """Sync and close the file."""
        with storage_errors(self.path):
            os.fsync(self._descriptor)
        os.close(self._descriptor)
