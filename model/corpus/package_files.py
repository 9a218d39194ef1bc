"""The files of an installed package."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import BinaryIO, cast

from model.corpus.glob import matches
from model.corpus.readers.source_file import SourceFile
from model.corpus.sources import PackageSource
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


def package_opener(source: PackageSource, name: str) -> Callable[[], BinaryIO]:
    """How to open a file that `package_files` has named.

    Raises:
        CorpusError: The package is not installed, or holds no such resource.
    """
    top = _resource(source, source.resource)
    return _opener(top if top.is_file() else top.joinpath(*name.split("/")))


def package_table(source: PackageSource, resource: str) -> Callable[[], BinaryIO]:
    """How to open a table inside the package.

    Raises:
        CorpusError: The package is not installed, or holds no such resource.
    """
    return _opener(_resource(source, resource))


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


def _opener(entry: Traversable) -> Callable[[], BinaryIO]:
    return lambda: cast(BinaryIO, entry.open("rb"))


def _source_file(source: PackageSource, entry: Traversable, name: str) -> SourceFile:
    version, size = package_version(source), 0
    if isinstance(entry, Path):
        status = entry.stat()
        version, size = f"{version} {status.st_mtime_ns}", status.st_size
    return SourceFile(name, _opener(entry), source.encoding, source.text_field, size=size, version=version)
