"""Everything that a killed run needs to go on as if nothing had happened.

Weights, optimizer moments, the position in the data, the best validation so far and the figures logged until now.
Random draws need no state: dropout is seeded by the step, the data order by the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.errors import CheckpointError

if TYPE_CHECKING:
    from model.checkpoint.manager import Checkpoint
    from model.training.loop import TrainingRun


def optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """All moments and counters as one flat mapping: `{"adamw.0.exp_avg": ...}`."""
    tensors: dict[str, Tensor] = {}
    for name, optimizer in optimizers.items():
        for index, entries in optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                tensors[f"{name}.{index}.{key}"] = torch.as_tensor(value)
    return tensors


def load_optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Give optimizers back what `optimizer_tensors` took from them."""
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            owner, index, entry = key.split(".", 2)
            if owner == name:
                state.setdefault(int(index), {})[entry] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def model_tensors(run: TrainingRun) -> dict[str, Tensor]:
    """The weights, a tied head left out."""
    return {name: p.detach() for name, p in run.model.named_parameters()}


def capture(run: TrainingRun) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors and the JSON state of a run between two steps."""
    tensors = {"model": model_tensors(run), "optimizer": optimizer_tensors(run.optimizers)}
    state = {
        "tokens": run.tokens,
        "data": run.loader.state(),
        "best_validation_loss": run.best_validation_loss,
        "best_step": run.best_step,
        "history": run.history,
        "config": run.config.model_dump(mode="json"),
    }
    return tensors, state


def restore(run: TrainingRun, checkpoint: Checkpoint) -> None:
    """Put a fresh run where the checkpoint was taken.

    Raises:
        CheckpointError: The checkpoint does not fit the model.
    """
    try:
        run.model.load_state_dict(checkpoint.load("model"), strict=not run.model.config.tie_embeddings)
    except RuntimeError as error:
        raise CheckpointError(f"{checkpoint.folder}: does not fit the model: {' '.join(str(error).split())}") from error
    load_optimizer_tensors(run.optimizers, checkpoint.load("optimizer"))
    run.loader.restore(checkpoint.state["data"])
    run.step = checkpoint.step
    run.tokens = checkpoint.state["tokens"]
    run.best_validation_loss = checkpoint.state["best_validation_loss"]
    run.best_step = checkpoint.state["best_step"]
    run.history = checkpoint.state["history"]
