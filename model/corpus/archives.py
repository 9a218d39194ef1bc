"""Archives (.zip, .tar, .tar.gz, .tgz, .tar.zst) as a series of files, read without unpacking them to the disk.

Only regular files are given out, one after the other, each through a spooled copy that is gone when the next one
comes. Names must stay inside the archive; links, devices, nested archives and encrypted members are set aside. Count,
size and growth are bounded, so a bomb costs little. The tar reader is our own (`model/corpus/tar_stream.py`): that of
Python 3.11.7 follows links and trusts sizes.
"""

from __future__ import annotations

import contextlib
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from model.corpus.readers.compression import decompressed, limit_growth
from model.corpus.readers.formats import ending_of
from model.corpus.readers.source_file import SourceFile
from model.corpus.set_aside import FileRefused, SetAside
from model.corpus.tar_stream import tar_members

MOST_MEMBERS = 200_000
MAX_ARCHIVE_BYTES = 256 << 30
HELD_BYTES = 8 << 20
PIECE_BYTES = 1 << 20
ARCHIVES = (".zip", ".tar", ".tgz")


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive."""
    return ending_of(name) in ARCHIVES


def archive_members(file: SourceFile, source: str, scratch: Path | None = None) -> Iterator[SourceFile | SetAside]:
    """The members of an archive, in its order; `file.name` begins their names.

    A member can be read until the next one is asked for.

    Args:
        file: The archive.
        source: Name of its source.
        scratch: Folder for members larger than 8 MB while they are read; None takes the system's.

    Raises:
        FileRefused: The archive is damaged, or too large in count, bytes or growth; members before were given out.
        OSError: The file system refuses.
    """
    names = _Names(file.name, source)
    members = _zip_members if ending_of(file.name) == ".zip" else _tar_members
    total = 0
    for name, problem, stream in members(file):
        if names.count == MOST_MEMBERS:
            raise FileRefused("bomb", f"holds more than {MOST_MEMBERS:,} files")
        aside = names.judge(name, problem)
        if aside is not None or stream is None:
            if aside is not None:
                yield aside
            continue
        with tempfile.SpooledTemporaryFile(HELD_BYTES, dir=str(scratch) if scratch else None) as copy:
            try:
                while data := stream.read(PIECE_BYTES):
                    total += len(data)
                    limit_growth(total, file.size or MAX_ARCHIVE_BYTES, MAX_ARCHIVE_BYTES)
                    copy.write(data)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                yield names.aside(name, *_zip_problem(error))
                continue
            opened = _Reopened(cast(BinaryIO, copy))
            yield SourceFile(f"{file.name}/{name}", opened, file.encoding, file.text_field, fields=file.fields)


class _Reopened:
    """Opens the spooled copy of a member again and again, from its beginning."""

    def __init__(self, copy: BinaryIO) -> None:
        self._copy = copy

    def __call__(self) -> BinaryIO:
        self._copy.seek(0)
        return cast(BinaryIO, _Unclosed(self._copy))


class _Unclosed:
    """A file that stays open for the next reader when this one closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.closed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def __enter__(self) -> _Unclosed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def close(self) -> None:
        self.closed = True


class _Names:
    """Judges the names of one archive's members."""

    def __init__(self, archive: str, source: str) -> None:
        self._archive, self._source = archive, source
        self._seen: set[str] = set()
        self.count = 0

    def judge(self, name: str, problem: tuple[str, str] | None) -> SetAside | None:
        """Why a member is not read, if there is a reason."""
        self.count += 1
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not name or not name.isprintable():
            return self.aside(name, "unsafe_name", "its name leads out of the archive or is no plain path")
        if problem is not None:
            return self.aside(name, *problem)
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            return self.aside(name, "hidden", "its name, or its folder's, begins with a dot or is __MACOSX")
        if is_archive(name):
            return self.aside(name, "nested_archive", "an archive inside an archive; unpack the outer one")
        if name in self._seen:
            return self.aside(name, "duplicate_name", "a file of this name came before in the archive")
        self._seen.add(name)
        return None

    def aside(self, name: str, reason: str, detail: str) -> SetAside:
        """A member that is set aside."""
        shown = name[:500].encode("utf-8", "backslashreplace").decode("utf-8")
        return SetAside(self._source, f"{self._archive}/{shown}", "", reason, detail)


Member = tuple[str, tuple[str, str] | None, BinaryIO | None]


def _zip_members(file: SourceFile) -> Iterator[Member]:
    with file.open() as raw:
        try:
            _check_directory(raw)
            archive = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, ValueError) as error:
            raise FileRefused("broken_archive", f"not a usable zip file: {error}") from error
        with archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                kind = info.external_attr >> 16
                if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                    yield info.filename, ("not_a_file", "a link or device inside an archive"), None
                    continue
                try:
                    stream = archive.open(info)
                except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
                    yield info.filename, _zip_problem(error), None
                    continue
                with stream:
                    yield info.filename, None, cast(BinaryIO, stream)


def _check_directory(raw: BinaryIO) -> None:
    """Refuse a zip file whose table of contents is too large to hold, before the library reads all of it."""
    size = raw.seek(0, 2)
    raw.seek(max(0, size - (1 << 16) - 22))
    tail = raw.read()
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and len(tail) >= at + 22:
        count, directory = struct.unpack("<HL", tail[at + 10 : at + 16])
        wide = tail.rfind(b"PK\x06\x06", 0, at)
        if wide >= 0 and len(tail) >= wide + 48:
            count, directory = struct.unpack("<QQ", tail[wide + 32 : wide + 48])
        if count > MOST_MEMBERS or directory > MOST_MEMBERS * 500:
            raise FileRefused("bomb", f"holds {count:,} files, more than {MOST_MEMBERS:,}")
    raw.seek(0)


def _zip_problem(error: Exception) -> tuple[str, str]:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "encrypted", "needs a password"
    if isinstance(error, NotImplementedError):
        return "unsupported", f"its compression cannot be read: {error}"
    return "broken_member", f"damaged: {' '.join(str(error).split())[:200] or type(error).__name__}"


def _tar_members(file: SourceFile) -> Iterator[Member]:
    name = f"{file.name[:-4]}.tar.gz" if file.name.lower().endswith(".tgz") else file.name
    with contextlib.closing(decompressed(name, file.open)()) as stream:
        for member in tar_members(stream):
            problem = None if member.is_file else ("not_a_file", f"a {member.kind} inside an archive")
            if member.kind != "folder":
                yield member.name, problem, cast(BinaryIO, member) if member.is_file else None
