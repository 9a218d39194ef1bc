"""From files to a stream of documents: every file is read or set aside, and every part has a stable id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.corpus.archives import archive_members, is_archive
from model.corpus.documents import Document
from model.corpus.file_facts import facts_of_files, names_in_table
from model.corpus.package_files import package_version
from model.corpus.parts import split_parts
from model.corpus.readers.compression import decompressed
from model.corpus.readers.formats import reader_for
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused, Quarantine, SetAside
from model.corpus.sources import AnySource, IngestConfig, PackageSource, UrlSource
from model.corpus.synthetic.config import SyntheticSource
from model.corpus.units import source_files
from model.errors import TissLMError

Describe = Callable[[str, dict[str, Any]], dict[str, str]]
Refusal = tuple[str, str]


@dataclass
class FileOutcome:
    """What became of a file, or of a range of its lines.

    Attributes:
        documents: Documents that it gave.
        first: Reason and detail of its first line or row that gave none.
        refused: Why the rest of it could not be read.
    """

    documents: int = 0
    first: Refusal | None = None
    refused: Refusal | None = None

    def merge(self, other: FileOutcome) -> None:
        """Add what became of the lines that follow."""
        self.documents += other.documents
        self.first = self.first or other.first
        self.refused = self.refused or other.refused

    def count(self, source: str, name: str, quarantine: Quarantine) -> None:
        """Count the whole file as read or set aside."""
        if self.documents:
            quarantine.read()
            if self.refused:
                place = f"after {self.documents:,} documents"
                quarantine.refuse_record(SetAside(source, name, place, *self.refused))
            return
        refused = self.refused
        if self.first and not refused:
            refused = (self.first[0], f"no usable record; the first: {self.first[1]}")
        quarantine.refuse_file(SetAside(source, name, "", *(refused or ("empty", "has no records"))))


def count_files(config: IngestConfig, root: Path) -> int:
    """How many files all sources have, those that will be set aside included, an archive as one.

    Raises:
        CorpusError: A source does not exist.
    """
    return sum(1 for source in config.sources for _ in source_files(source, root))


def read_sources(
    config: IngestConfig, root: Path, quarantine: Quarantine, on_file: Callable[[int], None] = lambda _: None
) -> Iterator[Document]:
    """The documents of all sources, in order, in bounded memory, in this process.

    Args:
        config: The sources, and the longest document.
        root: The folder that local paths are relative to.
        quarantine: Takes what cannot be read; afterwards `files == files_read + files_set_aside`.
        on_file: Told the number of files done so far.

    Raises:
        CorpusError: A source does not exist.
    """
    for source in config.sources:
        items = source_files(source, root)
        for document in read_items(source, items, root, config.max_document_characters, quarantine):
            yield document
            on_file(quarantine.files)
        on_file(quarantine.files)


def read_items(
    source: AnySource,
    items: Iterable[SourceFile | SetAside],
    root: Path,
    max_characters: int,
    quarantine: Quarantine,
    part: FileOutcome | None = None,
    scratch: Path | None = None,
) -> Iterator[Document]:
    """The documents of some files of one source.

    Args:
        source: The source.
        items: Its files; what was set aside among them is counted.
        root: The folder that local paths are relative to.
        max_characters: Longest document.
        quarantine: Takes what cannot be read.
        part: Takes the outcome of a range of lines, whose file is counted by whoever has all ranges.
        scratch: Folder for large members of archives while they are read.

    Raises:
        CorpusError: The source's table of facts cannot be read, or a download fails.
    """
    describe = _describer(source, root, items) if isinstance(items, list) else _describer(source, root, None)
    for item in items:
        if isinstance(item, SetAside):
            quarantine.refuse_file(item)
        elif is_archive(item.name):
            yield from _read_archive(source, item, describe, max_characters, quarantine, scratch)
        else:
            outcome = FileOutcome()
            yield from _read_file(source, item, describe, max_characters, quarantine, outcome)
            if item.is_range:
                assert part is not None, "nobody counts the whole file"  # noqa: S101
                part.merge(outcome)
            else:
                outcome.count(source.name, item.name, quarantine)


def _with_digest(source: AnySource, file: SourceFile) -> SourceFile:
    """A remote file with the digest of what was downloaded, which its documents carry."""
    if not isinstance(source, UrlSource) or "sha256" in file.fields:
        return file
    digest = hashlib.sha256()
    with file.open() as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
    return replace(file, fields={**file.fields, "sha256": digest.hexdigest()})


def _describer(source: AnySource, root: Path, items: list[SourceFile | SetAside] | None) -> Describe:
    """A function that gives a document's language, date and metadata from its file's name and its own fields."""
    package = {}
    if isinstance(source, PackageSource):
        package = {"package": f"{source.package} {package_version(source)}".strip()}
    names = None
    if items is not None and not any(isinstance(item, SourceFile) and is_archive(item.name) for item in items):
        names = [item.name for item in items if isinstance(item, SourceFile)]
    rows = facts_of_files(source, root, names)
    date = None
    if not isinstance(source, SyntheticSource) and source.metadata is not None:
        date = source.metadata.created

    def describe(name: str, fields: dict[str, Any]) -> dict[str, str]:
        row = next((rows[key] for key in names_in_table(name) if key in rows), {}) if rows else {}
        values = {**package, **row, **fields}
        created = values.pop(date, "") if date else values.pop("created", "")
        language = values.pop("language", None)
        return {
            "language": valid_text(language) if isinstance(language, str) and language else source.language,
            "created": valid_text(str(created or "")),
            "metadata": valid_text(json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)),
        }

    return describe


def _read_archive(
    source: AnySource,
    file: SourceFile,
    describe: Describe,
    max_characters: int,
    quarantine: Quarantine,
    scratch: Path | None,
) -> Iterator[Document]:
    """The documents of an archive's members, each counted as a file; a damaged archive is counted as one more."""
    n_members = 0
    try:
        for member in archive_members(_with_digest(source, file), source.name, scratch):
            n_members += 1
            if isinstance(member, SetAside):
                quarantine.refuse_file(member)
                continue
            outcome = FileOutcome()
            yield from _read_file(source, member, describe, max_characters, quarantine, outcome)
            outcome.count(source.name, member.name, quarantine)
    except FileRefused as error:
        detail = f"{error.detail} (after {n_members:,} members)"
        quarantine.refuse_file(SetAside(source.name, file.name, "", error.reason, detail))
    except OSError as error:
        detail = f"cannot be read: {error.strerror or error}"
        quarantine.refuse_file(SetAside(source.name, file.name, "", "unreadable", detail))
    else:
        if not n_members:
            quarantine.refuse_file(SetAside(source.name, file.name, "", "empty", "has no files in it"))


def _read_file(
    source: AnySource,
    file: SourceFile,
    describe: Describe,
    max_characters: int,
    quarantine: Quarantine,
    outcome: FileOutcome,
) -> Iterator[Document]:
    try:
        records, file = _opened(source, file)
        for record in records:
            if isinstance(record, RefusedRecord):
                outcome.first = outcome.first or (record.reason, record.detail)
                item = SetAside(source.name, file.name, record.place, record.reason, record.detail)
                quarantine.refuse_record(item)
                continue
            for document in _documents(source, file, record, describe, max_characters):
                outcome.documents += 1
                yield document
    except FileRefused as error:
        outcome.refused = (error.reason, error.detail)
    except OSError as error:
        outcome.refused = ("unreadable", f"cannot be read: {error.strerror or error}")
    except TissLMError:
        raise
    except Exception as error:  # noqa: BLE001  (one file that trips its reader must not cost the others)
        detail = f"its reader failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}; please report this"
        outcome.refused = ("reader_failed", detail)


def _opened(source: AnySource, file: SourceFile) -> tuple[Iterator[Record | RefusedRecord], SourceFile]:
    """A file's records, and the file with all that is known about it."""
    if isinstance(source, SyntheticSource):
        from model.corpus.synthetic.source import records

        return records(source), file
    reader = reader_for(file.name)  # first, so that nothing is downloaded that cannot be read
    file = _with_digest(source, file)
    return reader(replace(file, open=decompressed(file.name, file.open))), file


def _documents(
    source: AnySource, file: SourceFile, record: Record, describe: Describe, max_characters: int
) -> Iterator[Document]:
    identity = f"{source.name}/{file.name}" + (f"#{record.place}" if record.place else "")
    about = describe(file.name, {**file.fields, **record.fields})
    parts = split_parts(map(valid_text, record.pieces), max_characters)
    held = next(parts, None)
    number = 0
    for part in parts:
        number += 1
        if held is not None:
            yield Document(f"{identity}#{number:04d}", held, source.name, **about)
        held = part
    if held is not None:
        name = f"{identity}#{number + 1:04d}" if number else identity
        yield Document(name, held, source.name, **about)


def valid_text(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates (possible in JSON) replaced by U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
