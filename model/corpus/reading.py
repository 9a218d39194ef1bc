"""From sources to a stream of documents: every file is read or set aside, and every part has a stable id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from model.corpus.config import IngestConfig, PackageSource, PathSource
from model.corpus.documents import Document
from model.corpus.local_files import local_files
from model.corpus.package_files import package_files, package_metadata, package_version
from model.corpus.parts import split_parts
from model.corpus.readers.formats import reader_for
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused, Quarantine, SetAside


def source_files(source: PackageSource | PathSource, root: Path) -> Iterator[SourceFile | SetAside]:
    """The files of one source; see `local_files` and `package_files`."""
    if isinstance(source, PackageSource):
        return package_files(source)
    return local_files(source, root)


def count_files(config: IngestConfig, root: Path) -> int:
    """How many files all sources have, those that will be set aside included.

    Raises:
        CorpusError: A source does not exist.
    """
    return sum(1 for source in config.sources for _ in source_files(source, root))


def read_sources(
    config: IngestConfig, root: Path, quarantine: Quarantine, on_file: Callable[[int], None] = lambda _: None
) -> Iterator[Document]:
    """The documents of all sources, in order, in bounded memory.

    Args:
        config: The sources, and the longest document.
        root: The folder that local paths are relative to.
        quarantine: Takes what cannot be read; afterwards `files == files_read + files_set_aside`.
        on_file: Told the number of files done so far.

    Raises:
        CorpusError: A source does not exist.
    """
    for source in config.sources:
        describe = _describer(source)
        for file in source_files(source, root):
            if isinstance(file, SetAside):
                quarantine.refuse_file(file)
            else:
                yield from _read_file(source, file, describe, config.max_document_characters, quarantine)
            on_file(quarantine.files)


def _describer(source: PackageSource | PathSource) -> Callable[[str, dict[str, Any]], dict[str, str]]:
    """A function that gives a document's language, date and metadata from its file's name and its own fields."""
    package: dict[str, str] = {}
    rows: dict[str, dict[str, str]] = {}
    date = None
    if isinstance(source, PackageSource):
        package = {"package": f"{source.package} {package_version(source)}".strip()}
        rows = package_metadata(source)
        date = source.metadata.created if source.metadata else None

    def describe(name: str, fields: dict[str, Any]) -> dict[str, str]:
        row = rows.get(PurePosixPath(name).stem, {})
        values = {**package, **row, **fields}
        created = values.pop(date, "") if date else values.pop("created", "")
        language = values.pop("language", None)
        return {
            "language": valid_text(language) if isinstance(language, str) and language else source.language,
            "created": valid_text(str(created or "")),
            "metadata": valid_text(json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)),
        }

    return describe


def _read_file(
    source: PackageSource | PathSource,
    file: SourceFile,
    describe: Callable[[str, dict[str, Any]], dict[str, str]],
    max_characters: int,
    quarantine: Quarantine,
) -> Iterator[Document]:
    n_documents = 0
    first: RefusedRecord | None = None
    refused: FileRefused | None = None
    try:
        for record in reader_for(file.name)(file):
            if isinstance(record, RefusedRecord):
                first = first or record
                item = SetAside(source.name, file.name, record.place, record.reason, record.detail)
                quarantine.refuse_record(item)
                continue
            for document in _documents(source, file, record, describe, max_characters):
                n_documents += 1
                yield document
    except FileRefused as error:
        refused = error
    except OSError as error:
        refused = FileRefused("unreadable", f"cannot be read: {error.strerror or error}")
    if n_documents:
        quarantine.read()
        if refused:
            place = f"after {n_documents:,} documents"
            quarantine.refuse_record(SetAside(source.name, file.name, place, refused.reason, refused.detail))
    else:
        if first and not refused:
            refused = FileRefused(first.reason, f"no usable record; the first: {first.detail}")
        refused = refused or FileRefused("empty", "has no records")
        quarantine.refuse_file(SetAside(source.name, file.name, "", refused.reason, refused.detail))


def _documents(
    source: PackageSource | PathSource,
    file: SourceFile,
    record: Record,
    describe: Callable[[str, dict[str, Any]], dict[str, str]],
    max_characters: int,
) -> Iterator[Document]:
    identity = f"{source.name}/{file.name}" + (f"#{record.place}" if record.place else "")
    about = describe(file.name, record.fields)
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
