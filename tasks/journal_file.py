"""The journal's files: one JSON object a line, appended and never changed, readable while it is written.

    .tisslm/journal/PIPELINE/STAGE-ATTEMPT.jsonl       the events of one attempt at a stage
    .tisslm/journal/PIPELINE/STAGE-ATTEMPT/            copies of its small files, so that later runs cannot change them
    .tisslm/journal/PIPELINE/STAGE-ATTEMPT.sent.json   how much of it the tracking server has (written by the courier)

Events: `open` (who, where, params, tags), `resumed`, `metrics`, `tags`, `dataset`, `artifact`, `close`. A line counts
when it ends with a newline, parses, and has the CRC-32 that its last key `crc` states (lines of older versions have
none). A torn last line is one that a killed process never finished, and is skipped; any other line that does not count
is damage, which `damaged_lines` names.
"""

from __future__ import annotations

import json
import os
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.files import storage_errors

Event = dict[str, Any]
PIPELINE_CLOSED = "closed.json"
CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"\}\n$')


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
        """The `open` event, or an empty mapping while it is not there yet.

        Where that line is damaged, what its place says stands in for it, so that the lines after it still arrive.
        """
        event: Event = next((event for _, event in read_events(self.path)), {})
        if not event or event["event"] == "open":
            return event
        return {
            "event": "open",
            "time_ms": event["time_ms"],
            "stage": self.stage,
            "order": 0,
            "pipeline": {"id": self.pipeline, "name": self.pipeline, "owner": None},
            "params": {},
            "all_params": {},
            "tags": {},
        }


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
            event = parse_line(line)
            if event is not None:
                yield offset, event


def parse_line(line: bytes) -> Event | None:
    """The event of a complete line; None where the line is damaged."""
    stated = CHECKSUM.search(line)
    if stated and int(stated[1], 16) != zlib.crc32(line[: stated.start()] + b"}"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    event.pop("crc", None)
    return event


def damaged_lines(path: Path) -> list[int]:
    """Numbers (from 1) of the complete lines whose bytes are not those that were written."""
    try:
        with open(path, "rb") as file:
            return [n for n, line in enumerate(file, 1) if line.endswith(b"\n") and parse_line(line) is None]
    except FileNotFoundError:
        return []


def _line(event: Event) -> bytes:
    body = json.dumps(event, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8", "replace")
    return b'%s, "crc": "%08x"}\n' % (body[:-1], zlib.crc32(body))


class EventWriter:
    """Appends events to one journal file: one `write` of one line each, no buffer that a kill could lose."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, event: Event) -> None:
        """Append one event.

        Raises:
            StorageError: The disk is full; the events written before are whole.
        """
        line = _line(event)
        with self._lock, storage_errors(self.path, len(line)):
            before = os.fstat(self._descriptor).st_size
            try:
                written = os.write(self._descriptor, line)
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
            except OSError:
                os.ftruncate(self._descriptor, before)  # no torn line in the middle
                raise

    def close(self) -> None:
        """Sync and close the file."""
        with storage_errors(self.path):
            os.fsync(self._descriptor)
        os.close(self._descriptor)
