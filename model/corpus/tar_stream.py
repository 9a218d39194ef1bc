"""A tar archive read as a stream: names and contents of its members in order, in bounded memory.

Knows the formats that tar programs write (POSIX ustar and pax, GNU long names and base-256 sizes; POSIX.1-2017 `pax`,
GNU tar manual appendix "Basic Tar Format"). It never writes, follows or seeks; every size in a header is a claim that
is checked against the bytes that come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from model.corpus.set_aside import FileRefused

BLOCK = 512
LONGEST_NAME_BYTES = 1 << 16
LARGEST_HEADER_BYTES = 1 << 20
LARGEST_MEMBER_BYTES = 1 << 50
KINDS = {
    b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "folder", b"6": "pipe",
    b"S": "sparse file", b"M": "continued volume", b"V": "volume label", b"D": "folder",
}  # fmt: skip


class TarMember:
    """One member; its content can be read until the next one is asked for.

    Attributes:
        name: Its path as the archive says it.
        kind: `file`, `folder`, `symbolic link`, ...
        size: Bytes of content.
    """

    def __init__(self, stream: BinaryIO, name: str, kind: str, size: int) -> None:
        self.name, self.kind, self.size = name, kind, size
        self._stream = stream
        self._left = size

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.kind == "file"

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the content; none at its end.

        Raises:
            FileRefused: The archive ends before the content does.
        """
        wanted = min(size, self._left)
        if not wanted:
            return b""
        data = self._stream.read(wanted)
        if not data:
            raise FileRefused("broken_archive", f"ends inside {self.name!r}: {self._left:,} bytes are missing")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Pass over what was not read, and over the filling up to the next block."""
        while self.read(1 << 20):
            pass
        _exactly(self._stream, -self.size % BLOCK)


def tar_members(stream: BinaryIO) -> Iterator[TarMember]:
    """The members of a tar archive.

    Raises:
        FileRefused: It is no tar archive, or damaged.
    """
    long_name: str | None = None
    pax: dict[str, str] = {}
    is_first = True
    while True:
        header = stream.read(BLOCK)
        if not header or header == bytes(BLOCK):
            if is_first:
                raise FileRefused("empty" if not header else "broken_archive", "has no members")
            return
        name, size, flag = _parse(header + _exactly(stream, BLOCK - len(header)) if len(header) < BLOCK else header)
        is_first = False
        if flag in b"LKxg":
            data = _extra(stream, size)
            if flag == b"L":
                long_name = _text(data.rstrip(b"\0"))
            elif flag == b"x":
                pax = _pax(data)
            continue
        name = pax.get("path") or long_name or name
        if "size" in pax:
            size = _number(pax["size"].encode(), 10)
        if len(name) > LONGEST_NAME_BYTES:
            raise FileRefused("broken_archive", f"a name of {len(name):,} characters")
        is_file = flag in (b"0", b"\0", b"7") and not name.endswith("/") and "GNU.sparse.major" not in pax
        kind = "file" if is_file else "folder" if name.endswith("/") else KINDS.get(flag, "special file")
        member = TarMember(stream, name.removeprefix("./"), kind, 0 if flag in b"123456" else size)
        yield member
        member.skip()
        long_name, pax = None, {}


def _parse(header: bytes) -> tuple[str, int, bytes]:
    """Name, size and type of a header block."""
    stated = _number(header[148:156].strip(b" \0") or b"x", 8)
    if stated != sum(header) - sum(header[148:156]) + 8 * 32:
        raise FileRefused("broken_archive", "not a tar archive, or damaged: the checksum of a header is wrong")
    name = _text(header[:100].split(b"\0", 1)[0])
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    field = header[124:136]
    size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _number(field.strip(b" \0") or b"0", 8)
    if size > LARGEST_MEMBER_BYTES:
        raise FileRefused("broken_archive", f"a member claims {size:,} bytes")
    return (f"{_text(prefix)}/{name}" if prefix else name), size, header[156:157]


def _number(text: bytes, base: int) -> int:
    try:
        value = int(text, base)
    except ValueError:
        value = -1
    if not 0 <= value <= LARGEST_MEMBER_BYTES:
        raise FileRefused("broken_archive", "not a tar archive, or damaged: a header holds no number")
    return value


def _extra(stream: BinaryIO, size: int) -> bytes:
    if size > LARGEST_HEADER_BYTES:
        raise FileRefused("broken_archive", f"an extended header claims {size:,} bytes")
    data = _exactly(stream, size)
    _exactly(stream, -size % BLOCK)
    return data


def _pax(data: bytes) -> dict[str, str]:
    """The records `<length> <key>=<value>` of a pax header."""
    values = {}
    at = 0
    while at < len(data):
        length, space, _ = data[at : at + 20].partition(b" ")
        n = _number(length, 10) if space else 0
        record = data[at + len(length) + 1 : at + n]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not equals or not n:
            raise FileRefused("broken_archive", "a pax header is damaged")
        values[_text(key)] = _text(value)
        at += n
    return values


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise FileRefused("broken_archive", "ends inside a header")
        data += more
    return data
