"""Shingles of many documents on disk, so that pairs near the threshold can be compared exactly.

A flat little-endian uint32 file (the upper half of each hash, four bytes a word) and the documents' offsets. Two
different shingles of a pair share 32 bits with a probability of a thousandth for documents of a thousand words each,
and would then move their similarity by a thousandth.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType

import numpy as np

from model.corpus.near_duplicates.shingles import Shingles
from model.errors import IntegrityError

HASHES, OFFSETS = "shingles.u32", "shingle-offsets.i64"


class ShingleWriter:
    """Writes the shingles of documents as they come; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._hashes = (folder / HASHES).open("wb")
        self._offsets = (folder / OFFSETS).open("wb")
        self._written = 0
        np.zeros(1, "<i8").tofile(self._offsets)

    def write(self, texts: Shingles) -> None:
        """Add the shingles of some documents, in their order."""
        np.ascontiguousarray(texts.hashes.astype("<u8", copy=False).view("<u4")[1::2]).tofile(self._hashes)
        (texts.starts[1:] + self._written).astype("<i8").tofile(self._offsets)
        self._written += len(texts.hashes)

    def close(self) -> None:
        """Finish the files."""
        self._hashes.close()
        self._offsets.close()

    def __enter__(self) -> ShingleWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ShingleFiles:
    """The shingles of all documents of several folders, one after the other, memory-mapped."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open the folders that `ShingleWriter` filled.

        Raises:
            IntegrityError: A file is missing or shorter than its offsets say.
        """
        self._offsets = [_mapped(folder / OFFSETS, "<i8") for folder in folders]
        self._hashes = [_mapped(folder / HASHES, "<u4") for folder in folders]
        for folder, offsets, hashes in zip(folders, self._offsets, self._hashes, strict=True):
            if not len(offsets) or offsets[-1] != len(hashes):
                expected = int(offsets[-1]) if len(offsets) else 1
                raise IntegrityError(
                    f"{folder / HASHES}: got {len(hashes):,} shingles, expected {expected:,}; it is incomplete, remove "
                    "its folder and run the stage again"
                )
        self._starts = list(accumulate((len(offsets) - 1 for offsets in self._offsets), initial=0))

    def __len__(self) -> int:
        """How many documents there are."""
        return self._starts[-1]

    def __call__(self, document: int) -> np.ndarray:
        """The shingles of a document: (n,) uint32, in the text's order."""
        folder = bisect_right(self._starts, document) - 1
        place, offsets = document - self._starts[folder], self._offsets[folder]
        return self._hashes[folder][offsets[place] : offsets[place + 1]]


def _mapped(path: Path, dtype: str) -> np.ndarray:
    if not path.is_file():
        raise IntegrityError(f"{path}: missing, expected the shingles of documents; run the stage again")
    # A plain array over the mapped file: slices of `memmap` cost a microsecond more.
    return np.asarray(np.memmap(path, dtype, "r").view(np.ndarray)) if path.stat().st_size else np.empty(0, dtype)
