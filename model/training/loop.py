"""The training loop. Everything beside the step itself is a callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from model.architecture.decoder import Decoder
from model.dataset.loader import BatchLoader
from model.randomness import derive_seed
from model.training.config import PretrainConfig
from model.training.schedules import context_length, learning_rate
from model.training.step import StepResult, train_step


@dataclass
class TrainingRun:
    """A model in training: what changes from step to step, and what it is made of.

    Attributes:
        step: Steps done.
        tokens: Tokens seen, padding not counted.
        best_validation_loss: Least loss so far in nats per token, None before the first validation.
        best_step: Steps done when it was reached.
        history: Logged figures, one row per logged step.
        stop: Set it (from a signal handler) to end after the current step.
    """

    model: Decoder
    optimizers: Mapping[str, torch.optim.Optimizer]
    loader: BatchLoader
    config: PretrainConfig
    step: int = 0
    tokens: int = 0
    best_validation_loss: float | None = None
    best_step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    stop: bool = False

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.config.steps


class Callback(Protocol):
    """Something that happens once in a while."""

    def after_step(self, run: TrainingRun, result: StepResult) -> None:
        """Called after every step; `run.step` counts the steps done."""
        ...


def train(run: TrainingRun, callbacks: Sequence[Callback]) -> None:
    """Train from `run.step` to the last step, or until `run.stop` is set.

    Raises:
        TrainingError: The loss or the gradient is not finite; the weights are those of the step before.
    """
    device = run.model.device
    run.model.train()
    while not (run.done or run.stop):
        batch = run.loader.draw().cut(context_length(run.config, run.step)).to(device)
        if run.config.model.dropout > 0 or run.config.model.embedding.noise > 0:
            torch.manual_seed(derive_seed(run.config.seed, "dropout", run.step))
        result = train_step(
            run.model,
            run.optimizers,
            batch.inputs_BT,
            batch.targets_BT,
            step=run.step + 1,
            learning_rate=learning_rate(run.config, run.step),
            clip_norm=run.config.clip_norm,
            documents_BT=batch.documents_BT,
            loss_options=run.config.loss,
        )
        run.step += 1
        run.tokens = int(run.loader.tokens_by_group.sum())
        for callback in callbacks:
            callback.after_step(run, result)
