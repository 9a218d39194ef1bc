"""How a stream becomes windows of one length: cut where they fall, or packed with whole documents.

An epoch of windows is a function of (seed, stream, epoch) alone, so a position in the data is two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model.dataset.packing import PackedEpoch, pack
from model.dataset.shards import Ids
from model.dataset.streams import Stream, documents_between
from model.randomness import numpy_generator

IGNORED = -1
"""A target that no loss is counted for."""

Array = npt.NDArray[Any]


@dataclass
class Row:
    """One sequence of a batch, to be filled.

    Attributes:
        inputs: (context_length,) int64.
        targets: (context_length,) int64, the token after each input, `IGNORED` where there is none.
        documents: (context_length,) int64, which of the window's documents each input belongs to, counted from 0;
            None if nobody asks.
        blocked: No loss where a target belongs to another document than its input.
    """

    inputs: Ids
    targets: Ids
    documents: Ids | None
    blocked: bool


Counted = tuple[Array, Array]
"""Documents of a window by their numbers in the stream, and the inputs that each gave."""


class Epoch(Protocol):
    """The windows of one epoch in the order of their visit."""

    def __len__(self) -> int: ...

    def fill(self, visit: int, row: Row, *, count: bool) -> Counted | None:
        """Write the window of a visit into `row`; with `count` say which documents gave how many inputs."""
        ...


class Windows(Protocol):
    """All epochs of a stream."""

    def epoch(self, number: int) -> Epoch:
        """One epoch."""
        ...


@dataclass(frozen=True)
class _JoinedEpoch:
    """Where the first window begins, and the windows' numbers in the order of the visit."""

    stream: Stream
    context_length: int
    phase: int
    numbers: Array

    def __len__(self) -> int:
        return len(self.numbers)

    def fill(self, visit: int, row: Row, *, count: bool) -> Counted | None:
        length = self.context_length
        start = self.phase + int(self.numbers[visit]) * length
        tokens = np.empty(length + 1, np.int64)
        self.stream.read_into(tokens, start)
        row.inputs[:], row.targets[:] = tokens[:-1], tokens[1:]
        if row.documents is None and not count:
            return None
        numbers, sizes = documents_between(self.stream.starts, start, length + 1)
        if row.documents is not None:
            of_token = np.repeat(np.arange(len(sizes)), sizes)
            row.documents[:] = of_token[:-1]
            if row.blocked:
                row.targets[of_token[1:] != of_token[:-1]] = IGNORED
        sizes[-1] -= 1  # the last token is only a target
        return numbers, sizes


@dataclass(frozen=True)
class JoinedWindows:
    """Windows of `context_length + 1` tokens cut from the stream, wherever documents begin and end.

    An epoch begins at a random phase below `context_length`, so that windows fall differently each time, and visits
    every window once, in a random order or in the stream's. Neighbours share one token, the last target of one being
    the first input of the next. A stream shorter than a window gives one window that goes round.
    """

    stream: Stream
    context_length: int
    seed: int
    purpose: tuple[str, ...]
    shuffled: bool = True

    def epoch(self, number: int) -> Epoch:
        """See `Windows`."""
        generator = numpy_generator(self.seed, *self.purpose, number)
        room = self.stream.n_tokens - self.context_length
        phase = int(generator.integers(min(self.context_length, room) if room > 0 else self.stream.n_tokens))
        windows = max(1, (self.stream.n_tokens - 1 - phase) // self.context_length)
        numbers = np.arange(windows, dtype=np.min_scalar_type(windows))
        return _JoinedEpoch(
            self.stream, self.context_length, phase, generator.permutation(numbers) if self.shuffled else numbers
        )


@dataclass(frozen=True)
class _PackedWindows:
    stream: Stream
    packed: PackedEpoch
    end_of_text_id: int

    def __len__(self) -> int:
        return self.packed.n_windows

    def fill(self, visit: int, row: Row, *, count: bool) -> Counted | None:
        """Pieces one after the other, then padding that nobody attends to and nothing is learned from."""
        del count  # it costs nothing here
        starts, lengths, documents = self.packed.window(visit)
        at = 0
        for index, (start, length, document) in enumerate(zip(starts, lengths, documents, strict=True)):
            ends = int(start + length) == int(self.stream.starts[document + 1])
            tokens = np.empty(length + 1, np.int64)
            self.stream.read_into(tokens[: length + (not ends)], int(start))
            if ends:  # what follows a document is its end, which `blocked` counts to the next one
                tokens[length] = IGNORED if row.blocked else self.end_of_text_id
            row.inputs[at : at + length], row.targets[at : at + length] = tokens[:-1], tokens[1:]
            if row.documents is not None:
                row.documents[at : at + length] = index
            at += int(length)
        row.inputs[at:], row.targets[at:] = self.end_of_text_id, IGNORED
        if row.documents is not None:
            row.documents[at:] = len(lengths)
        return documents, lengths


@dataclass(frozen=True)
class BestFitWindows:
    """Windows filled with whole documents, of which only those longer than a window are cut.

    Ding et al. 2024, "Fewer Truncations Improve Language Modeling" (arXiv:2404.10830), algorithm 1: documents are cut
    into pieces of at most `context_length` inputs, and the pieces go into windows by best-fit-decreasing. Here pieces
    of equal length are shuffled anew in each epoch, so that the same documents do not always meet; every document is
    in every epoch exactly once.
    """

    stream: Stream
    context_length: int
    seed: int
    purpose: tuple[str, ...]
    end_of_text_id: int
    shuffled: bool = True

    def epoch(self, number: int) -> Epoch:
        """See `Windows`."""
        generator = numpy_generator(self.seed, *self.purpose, number)
        packed = pack(self.stream.starts, self.context_length, generator, shuffled=self.shuffled)
        return _PackedWindows(self.stream, packed, self.end_of_text_id)
