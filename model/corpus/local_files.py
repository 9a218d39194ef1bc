"""The files of a local source, in a fixed order, with whatever may not be followed set aside."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from model.corpus.glob import matches
from model.corpus.readers.source_file import SourceFile
from model.corpus.set_aside import SetAside
from model.corpus.sources import PathSource
from model.errors import CorpusError


def local_files(source: PathSource, root: Path) -> Iterator[SourceFile | SetAside]:
    """The files below the source's path that its glob means, folder by folder, sorted by name.

    Set aside: links that lead out of the source, nowhere, or to folders; pipes and devices; hidden files; folders
    that may not be listed.

    Args:
        source: The source.
        root: The folder that its path is relative to.

    Raises:
        CorpusError: The path does not exist.
    """
    top = root / Path(source.path).expanduser()
    if not top.exists():
        raise CorpusError(
            f"ingest.sources: {source.path}: no such file or folder (looked for {top.absolute()}); expected your texts "
            "there, so correct `path` or put them there"
        )
    if not top.is_dir():
        yield _source_file(source, top, top.name, top.stat())
        return
    table = root / source.metadata.path if source.metadata is not None else None
    for file in _walk(source, top, top.resolve(), ""):
        if table is None or isinstance(file, SetAside) or not _is_same(top / file.name, table):
            yield file


def local_opener(source: PathSource, root: Path, name: str) -> Callable[[], BinaryIO]:
    """How to open a file that `local_files` has named."""
    top = root / Path(source.path).expanduser()
    path = top / name if top.is_dir() else top
    return lambda: path.open("rb")


def _is_same(path: Path, table: Path) -> bool:
    return path.name == table.name and table.exists() and path.samefile(table)


def _walk(source: PathSource, folder: Path, top: Path, prefix: str) -> Iterator[SourceFile | SetAside]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        detail = f"folder cannot be listed: {os.strerror(error.errno or 0)}"
        yield SetAside(source.name, _printable(prefix) or ".", "", "unreadable", detail)
        return
    folders = []
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry)
        elif matches(name, source.glob):
            yield _judged(source, entry, top, name)
    for entry in folders:
        name = f"{prefix}{entry.name}/"
        if entry.name.startswith("."):
            if matches(f"{name}x", source.glob):
                yield SetAside(source.name, _printable(name), "", "hidden", "its name begins with a dot")
        else:
            yield from _walk(source, Path(entry.path), top, name)


def _judged(source: PathSource, entry: os.DirEntry[str], top: Path, name: str) -> SourceFile | SetAside:
    def aside(reason: str, detail: str) -> SetAside:
        return SetAside(source.name, _printable(name), "", reason, detail)

    path = Path(entry.path)
    if entry.name.startswith("."):
        return aside("hidden", "its name begins with a dot")
    if _printable(name) != name:
        return aside("file_name", "its name is not valid UTF-8")
    try:
        status = path.stat()
        resolved = path.resolve(strict=True)
    except OSError as error:
        return aside("broken_link" if entry.is_symlink() else "unreadable", os.strerror(error.errno or 0))
    except RuntimeError:
        return aside("broken_link", "a circle of links")
    if entry.is_symlink() and not resolved.is_relative_to(top):
        return aside("link_outside", f"a link that leads out of the source, to {resolved}")
    if stat.S_ISDIR(status.st_mode):
        return aside("link_to_folder", f"a link to the folder {resolved.relative_to(top)}, whose files are read there")
    if not stat.S_ISREG(status.st_mode):
        return aside("not_a_file", "a pipe, socket or device")
    return _source_file(source, path, name, status)


def _printable(name: str) -> str:
    """A file name that can be written as UTF-8, whatever its bytes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _source_file(source: PathSource, path: Path, name: str, status: os.stat_result) -> SourceFile:
    return SourceFile(
        _printable(name),
        lambda: path.open("rb"),
        source.encoding,
        source.text_field,
        size=status.st_size,
        version=str(status.st_mtime_ns),
    )
