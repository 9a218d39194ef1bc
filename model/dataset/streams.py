"""Documents as one flat stream of tokens: a whole split, or some of its documents in a chosen order.

Windows are cut from a stream, whatever is behind it. A selection costs one entry for each run of neighbouring
documents, so a source that lies in one piece costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model.dataset.groups import Group
from model.dataset.shards import Ids, TokenDataset
from model.errors import IntegrityError

Array = npt.NDArray[Any]


class Stream(Protocol):
    """Tokens end to end, with the borders of their documents."""

    @property
    def n_tokens(self) -> int:
        """Tokens in all."""
        ...

    @property
    def starts(self) -> Array:
        """(n_documents + 1,) where each document begins in the stream; the last entry is its end."""
        ...

    def read_into(self, out: Ids, start: int) -> None:
        """Fill `out` with the tokens from `start` on; past the end it begins again."""
        ...

    def group_of(self, documents: Array) -> Array:
        """The group of documents, by their numbers in the stream."""
        ...


class WholeStream:
    """All documents of a split as they lie on disk."""

    def __init__(self, dataset: TokenDataset) -> None:
        self.n_tokens = dataset.n_tokens
        self.starts: Array = dataset.offsets
        self._dataset = dataset

    def read_into(self, out: Ids, start: int) -> None:
        """See `Stream`; a whole split is never shorter than a window, so it need not begin again."""
        self._dataset.read_into(out, start)

    def group_of(self, documents: Array) -> Array:
        """See `Stream`."""
        groups = self._dataset.document_groups
        return np.zeros(len(documents), np.int64) if groups is None else np.asarray(groups[documents], np.int64)


class ChosenStream:
    """Some documents of a split, one after the other in a given order.

    Args:
        dataset: The split.
        documents: Their numbers in the split, in order.
    """

    def __init__(self, dataset: TokenDataset, documents: Array) -> None:
        offsets = np.asarray(dataset.offsets, np.int64)
        begin, end = offsets[documents], offsets[documents + 1]
        self.starts: Array = np.concatenate(([0], np.cumsum(end - begin)))
        self.n_tokens = int(self.starts[-1])
        self._dataset, self._documents = dataset, documents
        # neighbours on disk are read at once
        breaks = np.flatnonzero(begin[1:] != end[:-1]) + 1
        first = np.concatenate(([0], breaks)).astype(np.int64) if len(documents) else np.zeros(0, np.int64)
        self._run_starts, self._run_places = self.starts[first], begin[first]

    def read_into(self, out: Ids, start: int) -> None:
        """See `Stream`."""
        filled, at = 0, start % self.n_tokens
        while filled < len(out):
            run = int(np.searchsorted(self._run_starts, at, side="right")) - 1
            end = int(self._run_starts[run + 1]) if run + 1 < len(self._run_starts) else self.n_tokens
            n = min(len(out) - filled, end - at)
            self._dataset.read_into(
                out[filled : filled + n], int(self._run_places[run]) + at - int(self._run_starts[run])
            )
            filled += n
            at = 0 if at + n == self.n_tokens else at + n

    def group_of(self, documents: Array) -> Array:
        """See `Stream`."""
        groups = self._dataset.document_groups
        chosen = self._documents[documents]
        return np.zeros(len(documents), np.int64) if groups is None else np.asarray(groups[chosen], np.int64)


def streams_by(
    dataset: TokenDataset, key: Callable[[Group], str] | None, *, by_length: bool = False
) -> dict[str, Stream]:
    """The streams of a split by the key of their documents' groups, in the order of the groups.

    Args:
        dataset: The split.
        key: Says which groups belong together; None makes one stream of all, named "".
        by_length: Put short documents first; those of one length stay in their order.

    Raises:
        IntegrityError: A document has a group that `meta.json` does not know.
    """
    if key is None and not by_length:
        return {"": WholeStream(dataset)}
    lengths = np.diff(np.asarray(dataset.offsets, np.int64))
    order = np.argsort(lengths, kind="stable") if by_length else np.arange(dataset.n_documents)
    if key is None or dataset.document_groups is None:
        return {"" if key is None else key(dataset.groups[0]): ChosenStream(dataset, order)}
    groups = np.asarray(dataset.document_groups, np.int64)
    if len(groups) and int(groups.max()) >= len(dataset.groups):
        raise IntegrityError(
            f"{dataset.folder}/groups.bin: group {int(groups.max())}, expected below {len(dataset.groups)}; "
            "run the tokenize stage again (tisslm run --from tokenize)"
        )
    names = list(dict.fromkeys(key(group) for group in dataset.groups))
    number = np.array([names.index(key(group)) for group in dataset.groups], np.int64)
    ordered = number[groups[order]]
    return {name: ChosenStream(dataset, order[ordered == index]) for index, name in enumerate(names)}


def documents_between(starts: Array, start: int, length: int) -> tuple[Array, Array]:
    """Which documents a range of a stream touches.

    Args:
        starts: (n_documents + 1,) where documents begin, as `Stream.starts`.
        start: First token.
        length: Tokens.

    Returns:
        Numbers of the documents in order, and how many of the range's tokens each holds. Past the stream's end it
        begins again, so a short stream's documents occur several times.
    """
    total, number = int(starts[-1]), starts.dtype.type  # of another type, searchsorted would copy all starts
    numbers, sizes, at, left = [], [], start % total, length
    while left:
        end = min(total, at + left)
        # an empty document holds one token, its <|endoftext|>, so starts strictly increase
        first = int(np.searchsorted(starts, number(at), side="right")) - 1
        last = int(np.searchsorted(starts, number(end), side="left"))
        borders = np.clip(np.asarray(starts[first : last + 1], np.int64), at, end)
        numbers.append(np.arange(first, last))
        sizes.append(np.diff(borders))
        left -= end - at
        at = 0
    return np.concatenate(numbers), np.concatenate(sizes)
