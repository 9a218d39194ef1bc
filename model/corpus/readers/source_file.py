"""The seam of all readers: a file in, its records out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source, not opened yet.

    Attributes:
        name: Path inside its source, with `/`.
        open: Opens its bytes.
        encoding: Encoding of text files.
        text_field: Field or column with the text, where files have fields.
        size: Bytes, where they are known before the file is opened.
        version: Changes when the file does: time of its last change, or an ETag.
        fields: Facts about the file that all its documents get.
        start: First byte to read; more than 0 only in files of lines.
        end: Read lines that begin before this byte; None reads all.
        first_line: Number of lines before `start`.
    """

    name: str
    open: Callable[[], BinaryIO]
    encoding: str = "utf-8"
    text_field: str = "text"
    size: int = 0
    version: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    start: int = 0
    end: int | None = None
    first_line: int = 0

    @property
    def is_range(self) -> bool:
        """Whether only some lines of the file are meant."""
        return self.start > 0 or self.end is not None


@dataclass(frozen=True, slots=True)
class Record:
    """One text as it stands in a file.

    Attributes:
        place: Line or row number in a file of many records; empty in a text file.
        pieces: The text, in pieces of bounded size that belong together.
        fields: Whatever else stands beside the text.
    """

    place: str
    pieces: Iterator[str]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A line or row that is no document, and why."""

    place: str
    reason: str
    detail: str


class Reader(Protocol):
    """Reads one kind of file.

    Raises:
        FileRefused: The file, or the rest of it, cannot be read.
        OSError: The file system refuses.
    """

    def __call__(self, file: SourceFile) -> Iterator[Record | RefusedRecord]:
        """The file's records in order; memory stays bounded whatever the file's size."""
        ...
