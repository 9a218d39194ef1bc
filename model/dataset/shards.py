"""Token ids of one split on disk: flat little-endian shards, memory-mapped, with the documents' borders.

Every document is `<|endoftext|>` followed by the ids of its text. Layout of a split's folder:

    tokens-00000.bin ...   uint16 or uint32, each `shard_tokens` long but the last; documents may cross shards
    offsets.bin            uint64, n_documents + 1: where each document starts in the flat stream
    document_bytes.bin     uint64, n_documents: UTF-8 bytes of each document's text
    groups.bin             uint32, n_documents: which of the groups in meta.json each document belongs to (optional)
    meta.json              dtype, counts, the tokenizer's digest, the shards, the groups; written last
"""

from __future__ import annotations

import bisect
import mmap
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from model.dataset.groups import ALL, GROUPS, Group, GroupIds, read_groups
from model.errors import CorpusError, IntegrityError, TokenizerError
from model.files import read_json, storage_errors, write_json
from model.tokenizer.tokenizer import Tokenizer

META = "meta.json"
OFFSETS = "offsets.bin"
DOCUMENT_BYTES = "document_bytes.bin"
COUNTS = np.dtype("<u8")
REMEDY = "run `tisslm verify --repair`, then `tisslm run`"

Ids = npt.NDArray[np.int64]


class ShardWriter:
    """Writes one split as a stream, in bounded memory; use it in a `with` block.

    `meta.json` is written when the block ends well, so a folder that was cut short cannot be opened.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, shard_tokens: int = 100_000_000) -> None:
        """Start a split in `folder` (made if need be) with at most `shard_tokens` tokens in each shard."""
        self.folder = folder
        self.shard_tokens = shard_tokens
        self.dtype = np.dtype("<u2" if tokenizer.vocab_size <= 65_536 else "<u4")
        self.n_tokens = 0
        self.n_documents = 0
        self.n_bytes = 0
        self._tokenizer = tokenizer
        self._shards: list[dict[str, Any]] = []
        self._shard: BinaryIO | None = None
        self._group_ids = GroupIds()

    def __enter__(self) -> ShardWriter:
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._offsets = open(self.folder / OFFSETS, "wb")
            self._document_bytes = open(self.folder / DOCUMENT_BYTES, "wb")
            self._groups = open(self.folder / GROUPS, "wb")
            self._offsets.write(np.array([0], COUNTS).tobytes())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with storage_errors(self.folder):
            for file in (self._shard, self._offsets, self._document_bytes, self._groups):
                if file is not None:
                    file.close()
            if not self._group_ids.named:
                (self.folder / GROUPS).unlink()
            if kind is None:
                write_json(self.folder / META, self._meta())

    def append(self, text_ids: npt.ArrayLike, n_bytes: int, source: str = "", language: str = "") -> None:
        """Add a document: the ids of its text, without `<|endoftext|>`, and the UTF-8 bytes of that text.

        Args:
            text_ids: (length,) integers.
            n_bytes: UTF-8 bytes.
            source: Name of its source; with the language it makes the group that mixtures draw by.
            language: Its language tag.

        Raises:
            TokenizerError: An id is not in the tokenizer's vocabulary.
            StorageError: The disk is full.
        """
        ids = np.asarray(text_ids, dtype=np.int64)
        vocab_size = self._tokenizer.vocab_size
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
            wrong = int(ids[(ids < 0) | (ids >= vocab_size)][0])
            raise TokenizerError(
                f"document {self.n_documents}: id {wrong}, expected 0 to {vocab_size - 1}; use this tokenizer"
            )
        with storage_errors(self.folder):
            self._write(np.concatenate(([self._tokenizer.end_of_text_id], ids)).astype(self.dtype))
            self.n_documents += 1
            self.n_bytes += n_bytes
            self._offsets.write(np.array([self.n_tokens], COUNTS).tobytes())
            self._document_bytes.write(np.array([n_bytes], COUNTS).tobytes())
            self._groups.write(self._group_ids.add(source, language, len(ids) + 1, n_bytes))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Sources and languages of the documents so far, with their sizes."""
        return self._group_ids.groups()

    def _write(self, ids: npt.NDArray[Any]) -> None:
        written = 0
        while written < len(ids):
            if self._shard is None or self._shards[-1]["n_tokens"] == self.shard_tokens:
                self._next_shard()
            part = ids[written : written + self.shard_tokens - self._shards[-1]["n_tokens"]]
            self._shard.write(part.tobytes())  # type: ignore[union-attr]
            self._shards[-1]["n_tokens"] += len(part)
            written += len(part)
        self.n_tokens += len(ids)

    def _next_shard(self) -> None:
        if self._shard is not None:
            self._shard.close()
        name = f"tokens-{len(self._shards):05d}.bin"
        self._shards.append({"file": name, "n_tokens": 0})
        self._shard = open(self.folder / name, "wb")  # noqa: SIM115 (closed by the next shard or __exit__)

    def _meta(self) -> dict[str, Any]:
        groups = {"groups": [asdict(group) for group in self.groups]} if self._group_ids.named else {}
        return {
            "dtype": self.dtype.name,
            "n_tokens": self.n_tokens,
            "n_documents": self.n_documents,
            "n_bytes": self.n_bytes,
            "tokenizer_digest": self._tokenizer.digest,
            "vocab_size": self._tokenizer.vocab_size,
            "shards": self._shards,
            **groups,
        }


class TokenDataset:
    """The tokens of one split, read through memory maps: opening costs nothing, whatever the size.

    Attributes:
        n_tokens: Tokens in the flat stream, `<|endoftext|>` before each document included.
        n_documents: Documents.
        n_bytes: UTF-8 bytes of all texts.
        tokenizer_digest: The digest of the tokenizer that made the ids.
        vocab_size: That tokenizer's number of ids.
        groups: Source and language of the documents, with their sizes; one nameless group where nobody noted any.
        document_groups: (n_documents,) which of them each document belongs to; None if there is one for all.
    """

    def __init__(self, folder: Path) -> None:
        """Open the split's folder itself; see `open`."""
        self.folder = folder
        meta = _read_meta(folder)
        self.n_tokens: int = meta["n_tokens"]
        self.n_documents: int = meta["n_documents"]
        self.n_bytes: int = meta["n_bytes"]
        self.tokenizer_digest: str = meta["tokenizer_digest"]
        self.vocab_size: int = meta["vocab_size"]
        self.dtype = np.dtype(meta["dtype"]).newbyteorder("<")
        self._shards = [_map(folder / shard["file"], self.dtype, shard["n_tokens"]) for shard in meta["shards"]]
        ends = np.cumsum([len(shard) for shard in self._shards], dtype=np.int64)
        self._starts: list[int] = [0, *ends.tolist()]
        self.offsets = _map(folder / OFFSETS, COUNTS, self.n_documents + 1)
        self.document_bytes = _map(folder / DOCUMENT_BYTES, COUNTS, self.n_documents)
        if self._starts[-1] != self.n_tokens or int(self.offsets[-1]) != self.n_tokens:
            raise IntegrityError(
                f"{folder}: shards hold {self._starts[-1]:,} tokens, documents end at {int(self.offsets[-1]):,}, "
                f"expected {self.n_tokens:,} by {META}; {REMEDY}"
            )
        self.groups: tuple[Group, ...] = read_groups(meta, folder / META, REMEDY)
        self.document_groups = _map(folder / GROUPS, GroupIds.DTYPE, self.n_documents) if "groups" in meta else None
        if self.groups == ALL:
            self.groups = (Group("", "", self.n_documents, self.n_tokens, self.n_bytes),)

    @classmethod
    def open(cls, folder: Path, split: str) -> TokenDataset:
        """Open a split (`train`, `validation`, `test`) below `folder` (`data/tokens`).

        Raises:
            CorpusError: There is no such split.
            IntegrityError: A file is missing or its size is not the one that `meta.json` states.
        """
        if not (folder / split).is_dir():
            raise CorpusError(f"{folder / split}: no such split of tokens; run the tokenize stage (tisslm run)")
        return cls(folder / split)

    def __len__(self) -> int:
        """Tokens in the flat stream."""
        return self.n_tokens

    def check_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Refuse a tokenizer other than the one that made these tokens.

        Raises:
            TokenizerError: The digests differ.
        """
        if tokenizer.digest != self.tokenizer_digest:
            raise TokenizerError(
                f"{self.folder}: tokens were made by another tokenizer ({self.tokenizer_digest[:12]}...), got "
                f"{tokenizer.digest[:12]}...; run tokenize again (tisslm run --from tokenize)"
            )

    def read(self, start: int, length: int) -> Ids:
        """Tokens `start` to `start + length - 1` of the flat stream, across shards: (length,) int64.

        Raises:
            CorpusError: The range does not lie inside the stream.
        """
        out = np.empty(length, np.int64)
        self.read_into(out, start)
        return out

    def read_into(self, out: Ids, start: int) -> None:
        """Fill `out`, (length,) int64, with the tokens from `start` on; see `read`."""
        length = len(out)
        if not 0 <= start <= start + length <= self.n_tokens:
            raise CorpusError(
                f"{self.folder}: tokens {start} to {start + length} asked for, expected within 0 to {self.n_tokens}"
            )
        shard = bisect.bisect_right(self._starts, start) - 1
        filled = 0
        while filled < length:
            local = start + filled - self._starts[shard]
            part = self._shards[shard][local : local + length - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            shard += 1

    def release(self) -> None:
        """Give the memory of all pages read so far back; they are read again when they are needed.

        Mapped pages count as this process's memory for as long as they stay, however large the corpus is.
        """
        for shard in self._shards:
            mapped = getattr(shard, "_mmap", None)
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def document(self, index: int) -> Ids:
        """The tokens of a document, `<|endoftext|>` first: (length,) int64.

        Raises:
            CorpusError: There is no such document.
        """
        if not 0 <= index < self.n_documents:
            raise CorpusError(f"{self.folder}: document {index} asked for, expected 0 to {self.n_documents - 1}")
        start = int(self.offsets[index])
        return self.read(start, int(self.offsets[index + 1]) - start)


def _read_meta(folder: Path) -> dict[str, Any]:
    meta: dict[str, Any] = read_json(folder / META)
    counts = ("n_tokens", "n_documents", "n_bytes", "vocab_size")
    whole = (
        isinstance(meta, dict)
        and all(isinstance(meta.get(key), int) and meta[key] >= 0 for key in counts)
        and isinstance(meta.get("tokenizer_digest"), str)
        and meta.get("dtype") in {"uint16", "uint32"}
        and isinstance(meta.get("shards"), list)
        and all(
            isinstance(s, dict)
            and isinstance(s.get("file"), str)
            and isinstance(s.get("n_tokens"), int)
            and Path(s["file"]).name == s["file"]
            for s in meta["shards"]
        )
    )
    if not whole:
        raise IntegrityError(f"{folder / META}: lacks a key or has a wrong value; {REMEDY}")
    return meta


def _map(path: Path, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    """Map a flat file of `count` numbers, after a look at its size."""
    expected = count * dtype.itemsize
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file, expected {expected:,} bytes by {META}; {REMEDY}") from error
    if size != expected:
        raise IntegrityError(f"{path}: {size:,} bytes, expected {expected:,} by {META}; {REMEDY}")
    if count == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")
