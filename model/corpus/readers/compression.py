"""Compressed files as streams of their content, with an end to every bomb.

What comes out is bounded in two ways: by the ratio to what went in (200:1, looked at once more than 16 MB came out;
text reaches 20:1), and by 256 GB in all.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from model.corpus.set_aside import FileCutOff, FileRefused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_RATIO = 200
MAX_BYTES = 256 << 30
HARMLESS_BYTES = 16 << 20
ZSTD_WINDOW_BYTES = 128 << 20
ZSTD_STEP_BYTES = 2048
ENDINGS = (".gz", ".zst")


def uncompressed_name(name: str) -> str:
    """A file's name without the ending of its compression: `a.jsonl.gz` is read like `a.jsonl`."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in ENDINGS else name


def decompressed(name: str, open_bytes: Callable[[], BinaryIO]) -> Callable[[], BinaryIO]:
    """How to open the content of a file: `open_bytes` itself where its name says that it is not compressed."""
    ending = PurePosixPath(name).suffix.lower()
    if ending not in ENDINGS:
        return open_bytes
    return lambda: cast(BinaryIO, io.BufferedReader(_Decompressed(ending, open_bytes()), 1 << 18))


class _Counted(io.RawIOBase):
    """A stream that knows how many bytes were taken from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self.taken += len(data)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Decompressed(io.RawIOBase):
    """The content of a compressed stream; refuses what is damaged and what grows out of all proportion."""

    def __init__(self, ending: str, stream: BinaryIO) -> None:
        self._kind = ending.removeprefix(".")
        self._counted = _Counted(stream)
        self._given = 0
        self._content: Any = (
            gzip.GzipFile(fileobj=self._counted, mode="rb") if ending == ".gz" else _ZstdFrames(self._counted)
        )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        try:
            data = self._content.read1(len(view))  # not read(), which loses what came before the end of a cut-off file
        except EOFError as error:
            raise FileCutOff(
                f"the .{self._kind} ends in the middle, after {self._given:,} bytes of content; fetch it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._broken(error) from error
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise self._broken(error) from error
            raise
        self._given += len(data)
        limit_growth(self._given, self._counted.taken, MAX_BYTES)
        view[: len(data)] = data
        return len(data)

    def _broken(self, error: Exception) -> FileRefused:
        return FileRefused(f"broken_{self._kind}", f"after {self._given:,} bytes: {' '.join(str(error).split())[:200]}")

    def close(self) -> None:
        self._counted.close()
        super().close()


def limit_growth(n_out: int, n_in: int, max_bytes: int) -> None:
    """Refuse what has grown too much.

    Raises:
        FileRefused: More than `max_bytes`, or more than 200 times as much, came out.
    """
    if n_out > max_bytes:
        raise FileRefused("bomb", f"unpacks to more than {max_bytes:,} bytes")
    if n_out > HARMLESS_BYTES and n_out > MAX_RATIO * max(n_in, 1):
        raise FileRefused("bomb", f"unpacks to more than {MAX_RATIO} times its size ({n_out:,} bytes from {n_in:,})")


class _ZstdFrames:
    """The content of one zstd frame after the other; knows, unlike the library's reader, when a frame is cut off.

    Two kilobytes at a time: what they can grow to (66 MB, at 128 KB for every three bytes of a block) stays bounded.
    """

    def __init__(self, stream: _Counted) -> None:
        import zstandard

        self._stream = stream
        self._new_frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj
        self._frame: Any = None
        self._ready = b""
        self._given = 0
        self._pending = b""

    def read1(self, size: int) -> bytes:
        while self._given == len(self._ready):
            data = self._pending or self._stream.read(ZSTD_STEP_BYTES)
            self._pending = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("ends inside a zstd frame")
                return b""
            if self._frame is None:
                self._frame = self._new_frame()
            self._ready, self._given = self._frame.decompress(data), 0
            if self._frame.eof:
                self._pending, self._frame = self._frame.unused_data, None
        start, self._given = self._given, min(self._given + size, len(self._ready))
        return self._ready[start : self._given]
