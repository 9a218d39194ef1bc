"""Batches of windows in a seeded order, with a position that can be saved and restored exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from model.dataset.config import AsIsMixture, DataConfig
from model.dataset.groups import Group
from model.dataset.mixture import Draws, mixture_shares
from model.dataset.shards import TokenDataset
from model.dataset.streams import Stream, streams_by
from model.dataset.windows import BestFitWindows, Epoch, JoinedWindows, Row, Windows
from model.errors import CheckpointError, TrainingError

NO_OPTIONS = DataConfig()


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        inputs_BT: (batch, time) int64.
        targets_BT: (batch, time) int64, the token after each input; negative where no loss is counted.
        documents_BT: (batch, time) int64, which of its sequence's documents each input belongs to; None where
            borders are ignored.
    """

    inputs_BT: torch.Tensor  # noqa: N815  (a shape, as everywhere)
    targets_BT: torch.Tensor  # noqa: N815
    documents_BT: torch.Tensor | None  # noqa: N815

    def cut(self, context_length: int) -> Batch:
        """The same tokens as more and shorter sequences, for a stage of a curriculum."""
        if context_length == self.inputs_BT.shape[1]:
            return self
        return Batch(*(None if x is None else x.reshape(-1, context_length) for x in self))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(None if x is None else x.to(device, non_blocking=True) for x in self))  # type: ignore[arg-type]


@dataclass
class _Cursor:
    """A place in the endless windows of one stream."""

    windows: Windows
    epoch: int = 0
    window: int = 0
    _made: tuple[int, Epoch] | None = None

    @property
    def current(self) -> Epoch:
        """The windows of this epoch, made when first needed: most of many streams wait long for their first."""
        if self._made is None or self._made[0] != self.epoch:
            self._made = self.epoch, self.windows.epoch(self.epoch)
        return self._made[1]

    def next(self) -> tuple[Epoch, int]:
        """The epoch and the number of the next window in it."""
        if self.window == len(self.current):
            self.epoch, self.window = self.epoch + 1, 0
        self.window += 1
        return self.current, self.window - 1


class BatchLoader:
    """Endless batches of sequences of `context_length` tokens.

    By default they are windows of the flat stream of all documents: an epoch begins at a random phase below
    `context_length`, so that windows fall differently each time, and visits every window once in a random order. Both
    come from (seed, epoch) alone: the same seed gives the same batches on every machine, and a position is two numbers.
    A batch that begins before an epoch's end goes on into the next epoch. With a mixture each source or language is a
    stream of its own with its own epochs, and `Draws` says whose window is next.

    Attributes:
        shares: Share of the windows that each stream gets, by name; one nameless stream where there is no mixture.
        tokens_by_group: (n_groups,) int64, inputs given so far of each of `dataset.groups`.
    """

    def __init__(
        self,
        dataset: TokenDataset,
        batch_sequences: int,
        context_length: int,
        seed: int,
        data: DataConfig = NO_OPTIONS,
        *,
        budget: int = 0,
        end_of_text_id: int = 0,
    ) -> None:
        """Begin at the first batch of epoch 0.

        Args:
            dataset: The split.
            batch_sequences: Sequences of a batch.
            context_length: Their tokens.
            seed: Of every order.
            data: Mixture, packing and order.
            budget: Tokens of the whole run, which UniMax shares out.
            end_of_text_id: What ends a document and fills what is left of a packed window.

        Raises:
            TrainingError: The split is shorter than one window, or a size is not positive.
            ConfigError: The mixture names a group that is not there.
        """
        if batch_sequences < 1 or context_length < 1:
            raise TrainingError(
                f"batches of {batch_sequences} sequences of {context_length} tokens: expected at least 1 of each"
            )
        if dataset.n_tokens < context_length + 1:
            raise TrainingError(
                f"{dataset.folder}: {dataset.n_tokens:,} tokens, expected at least context_length + 1 = "
                f"{context_length + 1:,}; add text or lower pretrain.model.context_length"
            )
        self.dataset = dataset
        self.batch_sequences = batch_sequences
        self.context_length = context_length
        self.seed = seed
        self.data = data
        self.tokens_by_group: npt.NDArray[np.int64] = np.zeros(len(dataset.groups), np.int64)
        streams = streams_by(dataset, self._key(), by_length=data.order == "short_first")
        sizes = {name: stream.n_tokens for name, stream in streams.items()}
        self.shares = mixture_shares(data.mixture, sizes, budget)
        self._streams = streams
        self._cursors = {name: _Cursor(self._windows(name, stream, end_of_text_id)) for name, stream in streams.items()}
        self._names = list(streams)
        self._draws = Draws([self.shares[name] for name in self._names], seed)

    @property
    def epoch(self) -> int:
        """Epochs behind us; of several streams, of the one that is furthest."""
        return max(cursor.epoch for cursor in self._cursors.values())

    @property
    def window(self) -> int:
        """Windows given in the current epoch, over all streams."""
        return sum(cursor.window for cursor in self._cursors.values())

    @property
    def windows_in_epoch(self) -> int:
        """Windows of the current epoch, over all streams; it may differ by one between epochs."""
        return sum(len(cursor.current) for cursor in self._cursors.values())

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next inputs and targets, for whoever looks at no borders; see `draw`."""
        inputs_BT, targets_BT, _ = self.draw()
        return inputs_BT, targets_BT

    def draw(self) -> Batch:
        """The next batch: `batch_sequences` sequences of `context_length`."""
        shape = self.batch_sequences, self.context_length
        borders = self.data.packing.borders
        inputs, targets = np.empty(shape, np.int64), np.empty(shape, np.int64)
        documents = None if borders == "ignore" else np.empty(shape, np.int64)
        for index in range(self.batch_sequences):
            of_row = None if documents is None else documents[index]
            self._fill(Row(inputs[index], targets[index], of_row, borders == "block"))
        return Batch(*(None if x is None else torch.from_numpy(x) for x in (inputs, targets, documents)))  # type: ignore[arg-type]

    def _fill(self, row: Row) -> None:
        name = self._names[self._draws.next() if len(self._names) > 1 else 0]
        epoch, visit = self._cursors[name].next()
        counted = epoch.fill(visit, row, count=len(self.tokens_by_group) > 1)
        if len(self.tokens_by_group) == 1 and counted is None:
            self.tokens_by_group[0] += self.context_length
        elif counted is not None:
            groups = self._streams[name].group_of(counted[0])
            np.add.at(self.tokens_by_group, groups, counted[1])

    def realised(self) -> dict[Group, tuple[int, float]]:
        """Tokens given so far of each group, and how often that is all of it (epochs)."""
        return {
            group: (int(seen), int(seen) / max(1, group.tokens))
            for group, seen in zip(self.dataset.groups, self.tokens_by_group, strict=True)
        }

    def state(self) -> dict[str, Any]:
        """Where the next batch begins, and what that position belongs to, as JSON."""
        state: dict[str, Any] = {
            "seed": self.seed,
            "context_length": self.context_length,
            "n_tokens": self.dataset.n_tokens,
            "tokens_by_group": self.tokens_by_group.tolist(),
        }
        if list(self._cursors) == [""]:
            return {"epoch": self.epoch, "window": self.window, **state}
        places = {
            name: [cursor.epoch, cursor.window, int(drawn)]
            for (name, cursor), drawn in zip(self._cursors.items(), self._draws.drawn, strict=True)
        }
        return {**state, "streams": places}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a saved position: the next batch is the one that would have followed; `batch_sequences` may differ.

        Raises:
            CheckpointError: The position belongs to another seed, context length or dataset, or does not exist.
        """
        own = self.state()
        for key in ("seed", "context_length", "n_tokens"):
            if state.get(key) != own[key]:
                raise CheckpointError(f"data position: {key} {state.get(key)}, expected {own[key]}; start afresh")
        places = state.get("streams", {"": [state.get("epoch", -1), state.get("window", -1), 0]})
        counts = state.get("tokens_by_group", [])
        if set(places) != set(self._cursors) or len(counts) != len(self.tokens_by_group):
            raise CheckpointError("data position: of another mixture or other groups of documents; start afresh")
        moved = {name: _Cursor(self._cursors[name].windows, *place[:2]) for name, place in places.items()}
        for name, cursor in moved.items():
            if cursor.epoch < 0:
                raise CheckpointError(
                    f"data position{name and ' ' + name}: epoch {cursor.epoch}, expected 0 or more; "
                    "the checkpoint is damaged"
                )
            # a stream at its very beginning is not made before it is needed
            windows = len(cursor.current) if cursor.epoch or cursor.window else 0
            if not 0 <= cursor.window <= windows:
                raise CheckpointError(
                    f"data position{name and ' ' + name}: window {cursor.window}, expected 0 to {windows}; "
                    "the checkpoint is damaged"
                )
        self._cursors = {name: moved[name] for name in self._names}
        self._draws.drawn[:] = [places[name][2] for name in self._names]
        self.tokens_by_group[:] = counts

    def _key(self) -> Any:
        mixture = self.data.mixture
        return None if isinstance(mixture, AsIsMixture) else lambda group: group.key(mixture.by)

    def _windows(self, name: str, stream: Stream, end_of_text_id: int) -> Windows:
        purpose = ("windows", name) if name else ("windows",)
        shuffled = self.data.order != "short_first"
        if self.data.packing.documents == "best_fit":
            return BestFitWindows(stream, self.context_length, self.seed, purpose, end_of_text_id, shuffled)
        return JoinedWindows(stream, self.context_length, self.seed, purpose, shuffled)
