"""Batches of windows in a seeded order, with a position that can be saved and restored exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.dataset.shards import TokenDataset
from model.errors import CheckpointError, TrainingError
from model.randomness import numpy_generator


@dataclass(frozen=True)
class _Order:
    """One epoch: where the first window begins, and the windows' numbers in the order of the visit."""

    phase: int
    numbers: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.numbers)

    def start(self, visit: int, context_length: int) -> int:
        return self.phase + int(self.numbers[visit]) * context_length


class BatchLoader:
    """Endless batches of windows of `context_length + 1` tokens from the flat stream.

    An epoch begins at a random phase below `context_length`, so that windows fall differently each time, and visits
    every window once in a random order. Both come from (seed, epoch) alone: the same seed gives the same batches on
    every machine, and a position is two numbers. Neighbouring windows share one token, the last target of one being
    the first input of the next. A batch that begins before an epoch's end goes on into the next epoch.
    """

    def __init__(self, dataset: TokenDataset, batch_sequences: int, context_length: int, seed: int) -> None:
        """Begin at the first batch of epoch 0.

        Raises:
            TrainingError: The split is shorter than one window, or a size is not positive.
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
        self.epoch = 0
        self.window = 0
        self._order = self._order_of(0)

    @property
    def windows_in_epoch(self) -> int:
        """Windows of the current epoch; it may differ by one between epochs."""
        return len(self._order)

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next inputs and targets: (batch_sequences, context_length) int64 each, targets one token later."""
        tokens = np.empty((self.batch_sequences, self.context_length + 1), np.int64)
        for row in tokens:
            if self.window == len(self._order):
                self.epoch += 1
                self.window = 0
                self._order = self._order_of(self.epoch)
            self.dataset.read_into(row, self._order.start(self.window, self.context_length))
            self.window += 1
        batch = torch.from_numpy(tokens)
        return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()

    def state(self) -> dict[str, int]:
        """Where the next batch begins, and what that position belongs to, as JSON."""
        return {
            "epoch": self.epoch,
            "window": self.window,
            "seed": self.seed,
            "context_length": self.context_length,
            "n_tokens": self.dataset.n_tokens,
        }

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to a saved position: the next batch is the one that would have followed; `batch_sequences` may differ.

        Raises:
            CheckpointError: The position belongs to another seed, context length or dataset, or does not exist.
        """
        own = self.state()
        for key in ("seed", "context_length", "n_tokens"):
            if state.get(key) != own[key]:
                raise CheckpointError(f"data position: {key} {state.get(key)}, expected {own[key]}; start afresh")
        epoch, window = state.get("epoch", -1), state.get("window", -1)
        if epoch < 0:
            raise CheckpointError(f"data position: epoch {epoch}, expected 0 or more; the checkpoint is damaged")
        order = self._order_of(epoch)
        if not 0 <= window <= len(order):
            raise CheckpointError(
                f"data position: window {window}, expected 0 to {len(order)}; the checkpoint is damaged"
            )
        self.epoch, self.window, self._order = epoch, window, order

    def _order_of(self, epoch: int) -> _Order:
        generator = numpy_generator(self.seed, "windows", epoch)
        room = self.dataset.n_tokens - self.context_length
        phase = int(generator.integers(min(self.context_length, room)))
        windows = (self.dataset.n_tokens - 1 - phase) // self.context_length
        return _Order(phase, generator.permutation(np.arange(windows, dtype=np.min_scalar_type(windows))))
