"""Best-fit packing of documents into windows, and what it costs in padding and saves in cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PackedEpoch:
    """Which pieces of documents each window holds.

    Attributes:
        first: (n_windows + 1,) where each window's pieces begin in the three arrays below.
        starts: (n_pieces,) first token of each piece in the stream.
        lengths: (n_pieces,) its tokens.
        documents: (n_pieces,) its document.
        order: (n_windows,) windows in the order of the visit.
        context_length: Room of a window.
    """

    first: Array
    starts: Array
    lengths: Array
    documents: Array
    order: Array
    context_length: int

    @property
    def n_windows(self) -> int:
        """Windows of the epoch."""
        return len(self.order)

    @property
    def utilisation(self) -> float:
        """Share of the windows that is text, not padding."""
        return float(self.lengths.sum()) / (self.n_windows * self.context_length)

    def window(self, visit: int) -> tuple[Array, Array, Array]:
        """Starts, lengths and documents of the pieces in the window of a visit."""
        number = int(self.order[visit])
        part = slice(int(self.first[number]), int(self.first[number + 1]))
        return self.starts[part], self.lengths[part], self.documents[part]


def pack(starts: Array, context_length: int, generator: np.random.Generator, *, shuffled: bool) -> PackedEpoch:
    """Pack the documents of a stream.

    Args:
        starts: (n_documents + 1,) where documents begin in the stream.
        context_length: Most tokens of a window.
        generator: Decides which of several pieces of one length goes where, and the order of windows.
        shuffled: Visit windows in a random order; else by the mean length of the documents that their tokens are of.
    """
    from model.dataset.packing_kernels import best_fit_decreasing

    begins, lengths, documents = cut(starts, context_length)
    mixed = generator.permutation(len(lengths))
    by_length = mixed[np.argsort(-lengths[mixed], kind="stable")]
    bins, n_windows = best_fit_decreasing(np.ascontiguousarray(lengths[by_length]), context_length)
    by_window = np.argsort(bins, kind="stable")
    pieces = by_length[by_window]
    first = np.searchsorted(bins[by_window], np.arange(n_windows + 1))
    if shuffled:
        order = generator.permutation(n_windows)
    else:
        sizes = np.diff(np.asarray(starts, np.int64))[documents[pieces]]
        weighted = np.add.reduceat(sizes * lengths[pieces], first[:-1])
        order = np.argsort(weighted / np.add.reduceat(lengths[pieces], first[:-1]), kind="stable")
    return PackedEpoch(first, begins[pieces], lengths[pieces], documents[pieces], order, context_length)


def cut(starts: Array, context_length: int) -> tuple[Array, Array, Array]:
    """Documents as pieces of at most `context_length` tokens: their starts, lengths and documents."""
    begins = np.asarray(starts[:-1], np.int64)
    sizes: Array = np.diff(np.asarray(starts, np.int64))
    n_pieces: Array = -(-sizes // context_length)
    documents = np.repeat(np.arange(len(sizes)), n_pieces)
    number = np.arange(len(documents)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    offsets = number * context_length
    lengths = np.minimum(sizes[documents] - offsets, context_length)
    return begins[documents] + offsets, lengths, documents


def cut_documents(starts: Array, context_length: int) -> dict[str, float | int]:
    """How many documents are cut by windows where they fall (from phase 0), and how many have to be.

    A document is cut when its tokens do not lie in one window.
    """
    begins, ends = np.asarray(starts[:-1], np.int64), np.asarray(starts[1:], np.int64)
    return {
        "documents": len(begins),
        "cut_when_joined": int(np.count_nonzero(begins // context_length != (ends - 1) // context_length)),
        "cut_when_packed": int(np.count_nonzero(ends - begins > context_length)),
    }
