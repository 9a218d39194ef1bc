"""The files of an installed package, and the table of facts that may lie beside them."""

from __future__ import annotations

import csv
import importlib
import importlib.metadata
import importlib.resources
import io
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import BinaryIO, cast

from model.corpus.config import PackageMetadata, PackageSource
from model.corpus.glob import matches
from model.corpus.readers.source_file import SourceFile
from model.errors import CorpusError


def package_files(source: PackageSource) -> Iterator[SourceFile]:
    """The package's files that the source means, folder by folder, sorted by name.

    Raises:
        CorpusError: The package is not installed, or holds no such resource.
    """
    top = _resource(source, source.resource)
    if top.is_file():
        yield _source_file(source, top, top.name)
    else:
        yield from _walk(source, top, "")


def package_version(source: PackageSource) -> str:
    """The installed version of the package that texts come from; empty if it has none."""
    try:
        return importlib.metadata.version(source.package.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return ""


def package_metadata(source: PackageSource) -> dict[str, dict[str, str]]:
    """The rows of the source's table by their key; no table gives no rows.

    Raises:
        CorpusError: The table is not there, or lacks the key or date column.
    """
    if source.metadata is None:
        return {}
    table: PackageMetadata = source.metadata
    try:
        text = _resource(source, table.resource).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{source.package}/{table.resource}: cannot be read as UTF-8 CSV: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or [])
    for column in (table.key, table.created):
        if column is not None and column not in columns:
            raise CorpusError(
                f"{source.package}/{table.resource}: no column {column!r}, expected by ingest.sources; "
                f"columns found: {', '.join(columns[:20])}"
            )
    return {row[table.key]: {k: v for k, v in row.items() if isinstance(k, str) and v} for row in reader}


def _resource(source: PackageSource, resource: str) -> Traversable:
    try:
        top = importlib.resources.files(source.package)
    except ImportError as error:
        raise CorpusError(
            f"ingest.sources: package {source.package!r} cannot be imported ({error}); install it, or correct `package`"
        ) from error
    found = top.joinpath(*resource.split("/")) if resource else top
    if not (found.is_dir() or found.is_file()) or ".." in resource.split("/"):
        inside = ", ".join(sorted(entry.name for entry in top.iterdir())[:10])
        raise CorpusError(f"ingest.sources: package {source.package!r} has no resource {resource!r}; it has {inside}")
    return found


def _walk(source: PackageSource, folder: Traversable, prefix: str) -> Iterator[SourceFile]:
    folders = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            folders.append(entry)
        elif matches(name, source.glob):
            yield _source_file(source, entry, name)
    for entry in folders:
        yield from _walk(source, entry, f"{prefix}{entry.name}/")


def _source_file(source: PackageSource, entry: Traversable, name: str) -> SourceFile:
    def open_bytes() -> BinaryIO:
        return cast(BinaryIO, entry.open("rb"))

    return SourceFile(name, open_bytes, source.encoding, source.text_field)
