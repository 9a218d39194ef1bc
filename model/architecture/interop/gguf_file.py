"""Reading a GGUF file: metadata and where its tensors are. Nothing is believed before it is checked against the size.

Format: ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian. A count or length in the file is compared with the
bytes that are left before anything is allocated, so a damaged file costs no more memory than a whole one.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from model.architecture.interop.gguf_blocks import BLOCKS
from model.errors import CheckpointError

MAGIC, VERSIONS, DEFAULT_ALIGNMENT = b"GGUF", (2, 3), 32
DEEPEST, MOST_DIMENSIONS = 4, 4
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor is.

    Attributes:
        name: Its name.
        shape: Rows first, as in torch (the file has it the other way round).
        kind: Its number in `BLOCKS`.
        start: Offset in the file, bytes.
        n_bytes: Length in the file.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int
    n_bytes: int


@dataclass(frozen=True)
class GgufFile:
    """What a file says about itself.

    Attributes:
        path: The file.
        metadata: Values by key; arrays are lists.
        tensors: By name.
    """

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]


class _Cursor:
    """A place in a file that never leaves it."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: damaged at byte {self.at}: {what}; download it again")

    def take(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            raise self.damaged(f"{n} bytes announced, {len(self.data) - self.at} left")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def count(self, least_bytes: int) -> int:
        """A count of things that take at least so many bytes each."""
        n: int = self.number("Q")
        if n > (len(self.data) - self.at) // least_bytes:
            raise self.damaged(f"{n} entries announced, more than the rest of the file can hold")
        return n

    def string(self) -> str:
        text = self.take(self.count(1))
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged("a string is not UTF-8") from error

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == STRING:
            return self.string()
        if kind != ARRAY or depth >= DEEPEST:
            raise self.damaged(f"value type {kind} at depth {depth}")
        inner: int = self.number("I")
        if inner in NUMBERS:
            code = NUMBERS[inner]
            n = self.count(struct.calcsize(f"<{code}"))
            return list(struct.unpack(f"<{n}{code}", self.take(n * struct.calcsize(f"<{code}"))))
        return [self.value(inner, depth + 1) for _ in range(self.count(8 if inner == STRING else 12))]


def read_gguf(path: Path) -> GgufFile:
    """Metadata and places of all tensors.

    Raises:
        CheckpointError: It is missing, no GGUF, of another version, or damaged.
    """
    found: GgufFile = with_bytes(path, lambda data: _parsed(_Cursor(data, path)))
    return found


def with_bytes(path: Path, use: Callable[[mmap.mmap], Any]) -> Any:
    """Call `use` with a file's bytes, mapped.

    Raises:
        CheckpointError: There is no such file, or it is empty.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return use(data)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}), expected a GGUF file") from error


def _parsed(cursor: _Cursor) -> GgufFile:
    magic = cursor.take(4)
    if magic != MAGIC:
        raise CheckpointError(f"{cursor.path}: begins with {magic!r}, expected {MAGIC!r}: it is no GGUF file")
    version = cursor.number("I")
    if version not in VERSIONS:
        raise CheckpointError(
            f"{cursor.path}: GGUF version {version}, expected 2 or 3 (little-endian); convert it again"
        )
    n_tensors, n_values = cursor.count(24), cursor.count(13)
    metadata = {}
    for _ in range(n_values):
        key = cursor.string()
        if key in metadata:
            raise cursor.damaged(f"key {key!r} is there twice")
        metadata[key] = cursor.value(cursor.number("I"))
    found = [_tensor_info(cursor) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment > 2**20:
        raise cursor.damaged(f"general.alignment is {alignment!r}")
    base = -(-cursor.at // alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in found:
        n_bytes = _n_bytes(cursor, name, shape, kind)
        if base + offset + n_bytes > len(cursor.data):
            raise cursor.damaged(
                f"tensor {name} ends {base + offset + n_bytes - len(cursor.data)} bytes after the file"
            )
        if name in tensors:
            raise cursor.damaged(f"tensor {name} is there twice")
        tensors[name] = GgufTensor(name, shape, kind, base + offset, n_bytes)
    _refuse_overlaps(cursor, tensors)
    return GgufFile(cursor.path, metadata, tensors)


def _refuse_overlaps(cursor: _Cursor, tensors: Mapping[str, GgufTensor]) -> None:
    """Tensors that share bytes would together need more memory than the file has."""
    for first, second in pairwise(sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.n_bytes))):
        if first.start + first.n_bytes > second.start:
            raise cursor.damaged(f"tensors {first.name} and {second.name} overlap")


def _tensor_info(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, n_dimensions = cursor.string(), cursor.number("I")
    if n_dimensions > MOST_DIMENSIONS:
        raise cursor.damaged(f"tensor {name} has {n_dimensions} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(n_dimensions))
    return name, shape[::-1], cursor.number("I"), cursor.number("Q")


def _n_bytes(cursor: _Cursor, name: str, shape: tuple[int, ...], kind: int) -> int:
    if kind not in BLOCKS:
        known = ", ".join(block.name for block in BLOCKS.values())
        raise CheckpointError(f"{cursor.path}: tensor {name} is of ggml type {kind}, expected one of {known}")
    block, numbers = BLOCKS[kind], 1
    for size in shape:
        numbers *= size
    if not shape or shape[-1] % block.numbers:
        raise cursor.damaged(f"tensor {name} of shape {shape} is not whole blocks of {block.numbers}")
    return numbers // block.numbers * block.n_bytes
