"""What happens once in a while: logging, validation, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from model.architecture.auxiliary import activation_sparsity
from model.architecture.decoder import Decoder
from model.architecture.depth import depth_usage
from model.architecture.experts import expert_usage
from model.checkpoint.manager import CheckpointManager
from model.dataset.shards import TokenDataset
from model.errors import TrainingError
from model.training.loop import TrainingRun
from model.training.schedules import learning_rate
from model.training.state import capture, model_tensors
from model.training.step import StepResult
from model.training.validation import validation_loss, validation_losses_by

LogFigures = Callable[[Mapping[str, float], int], None]
LOGGED_GROUPS = 32
ShowProgress = Callable[[TrainingRun, Mapping[str, float]], None]


@dataclass
class Logging:
    """Every `log_every_steps`: loss averaged since the last time, learning rate, gradient norm, tokens per second.

    The clock leaves out validation and checkpoints, which stop it by `pause`.
    """

    log: LogFigures
    show: ShowProgress
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    def after_step(self, run: TrainingRun, result: StepResult) -> None:
        """Collect the step's figures, and log and show them when it is time."""
        self.losses.append(result.loss)
        self.tokens += run.config.batch_sequences * run.config.model.context_length
        if run.step % run.config.log_every_steps and not run.done:
            self.show(run, {"loss": result.loss})
            return
        figures = {
            "train_loss": sum(self.losses) / len(self.losses),
            "learning_rate": learning_rate(run.config, run.step - 1),
            "gradient_norm": result.gradient_norm,
            "tokens_per_second": self.tokens / max(1e-9, time.monotonic() - self.started),
            "tokens": float(run.tokens),
        }
        self.log(figures, run.step)
        self._log_mixture(run)
        if used := part_usage(run.model):
            self.log(used, run.step)
        run.history.append({"step": run.step, **{key: float(f"{value:.6g}") for key, value in figures.items()}})
        self.show(run, {"loss": figures["train_loss"], "tokens_per_second": figures["tokens_per_second"]})
        self.losses, self.tokens, self.started = [], 0, time.monotonic()

    def _log_mixture(self, run: TrainingRun) -> None:
        """What has been seen of each source and language; of many, of the largest."""
        realised = run.loader.realised()
        if len(realised) < 2:
            return
        names = sorted(realised, key=lambda group: -group.tokens)[:LOGGED_GROUPS]
        seen = {f"mixture/{group.key('source_language')}": realised[group] for group in names}
        self.log(
            {f"{name}/tokens": float(tokens) for name, (tokens, _) in seen.items()}
            | {f"{name}/epochs": epochs for name, (_, epochs) in seen.items()},
            run.step,
        )
        run.history.append({"step": run.step, "mixture": run.loader.tokens_by_group.tolist()})


def part_usage(model: Decoder) -> dict[str, float]:
    """How a network's parts were used in the last pass: experts' loads, routed layers' shares, zeros of activations.

    Of the experts of a layer the largest and the smallest share of tokens; empty for a network without such parts.
    """
    figures: dict[str, float] = {}
    for name, shares in expert_usage(model).items():
        figures |= {f"experts/{name}/largest_share": max(shares), f"experts/{name}/smallest_share": min(shares)}
    figures |= {f"depth/{name}": share for name, share in depth_usage(model).items()}
    return figures | {f"sparsity/{name}": share for name, share in activation_sparsity(model).items()}


@dataclass
class Validation:
    """Every `validate_every_steps` and at the end: loss on held-out text; the best weights are kept."""

    dataset: TokenDataset
    manager: CheckpointManager
    log: LogFigures

    def after_step(self, run: TrainingRun, result: StepResult) -> None:
        """Validate when it is time.

        Raises:
            TrainingError: The validation loss is not finite.
        """
        del result
        if run.step % run.config.validate_every_steps and not run.done:
            return
        loss = self.look(run)
        if run.best_validation_loss is None or loss < run.best_validation_loss:
            run.best_validation_loss, run.best_step = loss, run.step
            self.manager.save_best(run.step, loss, {"model": model_tensors(run)}, {"tokens": run.tokens})

    def look(self, run: TrainingRun) -> float:
        """Validate now, log it, and return the loss.

        Raises:
            TrainingError: It is not finite.
        """
        loss, by_group = self._losses(run)
        if not math.isfinite(loss):
            raise TrainingError(
                f"step {run.step}: validation loss is {loss}; lower pretrain.learning_rate and run again"
            )
        self.log({"validation_loss": loss, "validation_perplexity": math.exp(min(loss, 700))}, run.step)
        run.history.append({"step": run.step, "validation_loss": float(f"{loss:.6g}")})
        if by_group:
            self.log({f"validation_loss/{name}": value for name, value in by_group.items()}, run.step)
            rounded = {name: float(f"{value:.6g}") for name, value in by_group.items()}
            run.history.append({"step": run.step, "validation_losses": rounded})
        return loss

    def _losses(self, run: TrainingRun) -> tuple[float, dict[str, float]]:
        """The loss, and that of each source or language where they are told apart.

        Then every group gets the same part of `validation_tokens`, and the loss is their mean by their size in the
        split; the first tokens of the split would all be of its first source.
        """
        config = run.config
        options = {"batch_sequences": config.batch_sequences, "borders": config.data.packing.borders}
        by = config.data.validation_by
        if by == "none":
            tokens = config.validation_tokens
            return validation_loss(run.model, self.dataset, max_tokens=tokens, **options), {}  # type: ignore[arg-type]
        sizes: dict[str, int] = {}
        for group in self.dataset.groups:
            sizes[group.key(by)] = sizes.get(group.key(by), 0) + group.tokens
        tokens = max(config.model.context_length, config.validation_tokens // len(sizes))
        found = validation_losses_by(run.model, self.dataset, by, max_tokens=tokens, **options)  # type: ignore[arg-type]
        if not found:
            raise TrainingError(
                f"validation split: no {by} has 2 tokens or more; add texts, or tisslm run --set "
                "pretrain.data.validation_by=none"
            )
        total = sum(sizes[name] for name in found)
        return sum(loss * sizes[name] for name, loss in found.items()) / max(1, total), found


@dataclass
class Checkpointing:
    """Every `checkpoint_every_steps` and at the end."""

    manager: CheckpointManager
    log: LogFigures

    def after_step(self, run: TrainingRun, result: StepResult) -> None:
        """Write a checkpoint when it is time."""
        del result
        if run.step % run.config.checkpoint_every_steps == 0 or run.done:
            self.save(run)

    def save(self, run: TrainingRun) -> None:
        """Write a checkpoint now."""
        started = time.monotonic()
        tensors, state = capture(run)
        self.manager.save(run.step, tensors, state)
        self.log({"checkpoint_seconds": time.monotonic() - started}, run.step)
