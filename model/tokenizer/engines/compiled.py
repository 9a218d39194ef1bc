"""Byte-level BPE by kernels of our own: the classes of characters and the merges are Hugging Face's by construction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model.tokenizer.engines.bpe_training import RULES
from model.tokenizer.engines.byte_pairs import BytePairModel
from model.tokenizer.engines.character_classes import character_classes
from model.tokenizer.pretokenization import pieces

if TYPE_CHECKING:
    from model.tokenizer.engines.hugging_face import HuggingFaceEngine

BYTES_AT_ONCE = 1 << 20
PADDING = 40
"""Zeros after the text, for kernels that read eight bytes at a time."""
SMALLEST_TABLE, LARGEST_TABLE = 1 << 14, 1 << 17
"""Words remembered: 1 MB of records at first, 8 MB at most; a full table is emptied."""
CHARACTERS_UNTIL_LOADED = 200_000
"""Loading numba and the kernels costs as much as encoding this by `tokenizers`."""

Ids = npt.NDArray[np.uint32]


class CompiledEngine:
    """Encodes by `encoding_kernels`, on the calling thread; one text at a time goes through an engine."""

    name = "compiled"

    def __init__(self, model: BytePairModel, until_loaded: HuggingFaceEngine) -> None:
        """Encode by `model`; the first texts, too few to be worth the loading, by `until_loaded`."""
        self._model = model
        self._until_loaded = until_loaded
        self._seen = 0
        self._lock = threading.Lock()
        self._tables: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]] | None = None
        self._cursor = np.zeros(5, np.int64)

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        if self._tables is None:
            self._seen += sum(map(len, texts))
            if self._seen < CHARACTERS_UNTIL_LOADED:
                return self._until_loaded.encode_batch(texts)
        found: list[list[Ids]] = [[] for _ in texts]
        with self._lock:
            for numbers, batch in _batches(texts):
                for number, ids in zip(numbers, self._encode(batch), strict=True):
                    found[number].append(ids)
        return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in found]

    def _encode(self, batch: list[bytes]) -> list[Ids]:
        from model.tokenizer.engines import encoding_kernels as kernels

        if self._tables is None:
            size = 1 << max(10, (2 * len(self._model.merges)).bit_length())
            merges = np.zeros((size, 2), np.int64)
            kernels.enter_merges(merges, self._model.merges)
            self._tables = merges, *_empty_tables(SMALLEST_TABLE)
        merges, table, spilled = self._tables
        ends = np.cumsum([len(data) for data in batch], dtype=np.int64)
        size = int(ends[-1])
        data = np.frombuffer(b"".join([*batch, bytes(PADDING + (-size) % 8)]), np.uint8)
        out, out_ends = np.empty(size, np.uint32), np.empty(len(batch), np.int64)
        cursor = self._cursor
        cursor[:3] = 0
        while not kernels.encode_texts(
            data, data.view(np.uint64), ends, cursor, character_classes(), RULES[self._model.rule],
            self._model.byte_ids, merges, table, spilled, out, out_ends,
        ):  # fmt: skip
            table, spilled = _empty_tables(min(LARGEST_TABLE, 2 * len(table)))
            self._tables = merges, table, spilled
            cursor[3:] = 0
        return [ids.copy() for ids in np.split(out, out_ends)[:-1]]


def _empty_tables(size: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    return np.zeros((size, 8), np.uint64), np.empty(4 * size, np.uint32)


def _batches(texts: Sequence[str]) -> Iterator[tuple[list[int], list[bytes]]]:
    """Pieces of the texts as UTF-8 with the numbers of their texts, about a megabyte at a time."""
    numbers: list[int] = []
    batch: list[bytes] = []
    size = 0
    for number, text in enumerate(texts):
        for piece in pieces(text, BYTES_AT_ONCE):
            data = piece.encode("utf-8")
            numbers.append(number)
            batch.append(data)
            size += len(data)
            if size >= BYTES_AT_ONCE:
                yield numbers, batch
                numbers, batch, size = [], [], 0
    if batch:
        yield numbers, batch
