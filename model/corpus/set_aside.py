"""What could not be read, with the reason: counted, shown, never lost silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass, field
from typing import Any

KEPT_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """One file, or one record of a file, that could not be used.

    Attributes:
        source: Name of the source.
        file: The file's name inside its source.
        place: Line or row inside the file; empty when the whole file is meant.
        reason: Kind of failure, one word: `not_utf8`.
        detail: What was found where, in one line.
    """

    source: str
    file: str
    place: str
    reason: str
    detail: str


class FileRefused(Exception):  # noqa: N818  (a verdict on one file, not a failure of the run)
    """A reader's verdict that the rest of a file cannot be read; it becomes a `SetAside`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class FileCutOff(FileRefused):
    """A file ends in the middle, by a broken transfer for one: the complete lines before that can be used."""

    def __init__(self, detail: str) -> None:
        super().__init__("cut_off", detail)


@dataclass
class Quarantine:
    """Everything that was set aside in one pass over the sources.

    Counts are complete; rows are kept up to 10,000, the first ones.

    Attributes:
        files: Files found.
        files_read: Files that gave at least one document.
        files_by_reason: Files that gave none, by reason.
        records_by_reason: Lines and rows set aside inside files, by reason.
        rows: What was set aside, in order.
    """

    files: int = 0
    files_read: int = 0
    files_by_reason: Counter[str] = field(default_factory=Counter)
    records_by_reason: Counter[str] = field(default_factory=Counter)
    rows: list[SetAside] = field(default_factory=list)

    @property
    def files_set_aside(self) -> int:
        """Files that gave no document."""
        return self.files_by_reason.total()

    @property
    def records_set_aside(self) -> int:
        """Lines and rows that gave no document, whatever became of the rest of their file."""
        return self.records_by_reason.total()

    def read(self) -> None:
        """Count a file that gave documents."""
        self.files += 1
        self.files_read += 1

    def refuse_file(self, item: SetAside) -> None:
        """Count a file that gave no document."""
        self.files += 1
        self.files_by_reason[item.reason] += 1
        self._keep(item)

    def refuse_record(self, item: SetAside) -> None:
        """Count a line or row, or the unreadable rest of a file."""
        self.records_by_reason[item.reason] += 1
        self._keep(item)

    def merge(self, other: Quarantine) -> None:
        """Add everything that another pass, over the files that follow, has set aside."""
        self.files += other.files
        self.files_read += other.files_read
        self.files_by_reason.update(other.files_by_reason)
        self.records_by_reason.update(other.records_by_reason)
        self.rows.extend(other.rows[: KEPT_ROWS - len(self.rows)])

    def to_json(self) -> dict[str, Any]:
        """Everything counted, as JSON; see `from_json`."""
        return {
            "files": self.files,
            "files_read": self.files_read,
            "files_by_reason": dict(self.files_by_reason),
            "records_by_reason": dict(self.records_by_reason),
            "rows": [list(astuple(row)) for row in self.rows],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Quarantine:
        """What `to_json` gave, back as it was."""
        counters = {name: Counter(values[name]) for name in ("files_by_reason", "records_by_reason")}
        return cls(**{**values, **counters, "rows": [SetAside(*row) for row in values["rows"]]})

    def _keep(self, item: SetAside) -> None:
        if len(self.rows) < KEPT_ROWS:
            self.rows.append(item)
