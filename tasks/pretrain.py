"""Stage `pretrain`: token shards -> a trained model folder in the Hugging Face layout."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import model as library
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import SpecialIds, save_model
from model.checkpoint.manager import CheckpointManager
from model.dataset.loader import BatchLoader
from model.dataset.mixture import epochs_beyond_cap
from model.dataset.realised import mixture_rows, mixture_series, packing_facts
from model.dataset.shards import TokenDataset
from model.errors import CheckpointError, TissLMError
from model.files import canonical_json, content_digest, folder_digest, sha256_file, sha256_text
from model.kernels.library import kernels_used
from model.randomness import torch_generator
from model.tokenizer.tokenizer import Tokenizer, copy_tokenizer
from model.training.callbacks import Checkpointing, Logging, Validation
from model.training.config import PretrainConfig
from model.training.loop import Callback, TrainingRun, train
from model.training.optimizers import build_optimizers
from model.training.starting_point import starting_shape, starting_weights
from model.training.state import restore
from model.training.step import resolved_dtype
from tasks.existing_model import START, ExistingModel, find_model
from tasks.journal import Journal
from tasks.params import Params
from tasks.report import StageReport

CODE_THAT_DECIDES = ("architecture", "checkpoint", "dataset", "kernels", "training")


def pretrain(
    config: PretrainConfig,
    tokens: Path,
    tokenizer: Path,
    out: Path,
    checkpoints: Path,
    journal: Journal,
    device: str = "cpu",
    root: Path = Path(),
    params: Params | None = None,
) -> StageReport:
    """Train a decoder on the training split and write the best one by validation loss.

    A run that was killed goes on from its last checkpoint and ends with the bytes of an unbroken one. With
    `pretrain.from` it begins with the weights of a model that exists.

    Raises:
        ConfigError: The model to start from is not there, or is another network.
        TrainingError: Too little data, or a loss that is not finite.
        TokenizerError: The tokens were made by another tokenizer.
        StorageError: The disk is full; earlier checkpoints stay usable.
        KeyboardInterrupt: The run was asked to stop; a checkpoint was written first.
    """
    split = {name: TokenDataset.open(tokens, name) for name in ("train", "validation")}
    opened = Tokenizer.open(tokenizer)
    for dataset in split.values():
        dataset.check_tokenizer(opened)
    dtype = resolved_dtype(config.dtype, device)
    start = None if config.from_model is None else find_model(START, config.from_model, root, params)
    run = build_run(config, split["train"], opened, dtype, device, start)
    budget = config.steps * config.batch_sequences * config.model.context_length
    if epochs := epochs_beyond_cap(config.data.mixture, split["train"].n_tokens, budget):
        journal.say(f"unimax: {budget:,} tokens to see, so every text is seen {epochs:.1f} times, beyond max_epochs")
    identity = run_identity(config, {"tokens": tokens, "tokenizer": tokenizer}, dtype, device)
    if start is not None:
        identity["from"] = start.digest
        journal.tags({"from": start.name, "from.digest": start.digest})
    manager = CheckpointManager(checkpoints, identity, config.keep_checkpoints, journal.say)
    checkpoint = manager.latest()
    if checkpoint is not None:
        restore(run, checkpoint)
        journal.resumed(run.step)
        journal.say(f"going on from step {run.step} of {config.steps}")
    journal.tags(
        {"dtype": str(dtype).removeprefix("torch."), "device": device, "parameters": str(run.model.num_params())}
    )
    for name, dataset in split.items():
        profile = {"tokens": float(dataset.n_tokens), "documents": float(dataset.n_documents)}
        journal.dataset(f"tokens/{name}", tokens / name, folder_digest(tokens), name, profile)

    def show(state: TrainingRun, figures: Mapping[str, float]) -> None:
        journal.progress(state.step, state.config.steps, "steps", **figures)

    checkpointing = Checkpointing(manager, journal.metrics)
    validation = Validation(split["validation"], manager, journal.metrics)
    if start is not None and checkpoint is None:
        journal.say(f"starting from {start.name}: validation loss {validation.look(run):.3f}")
    callbacks: list[Callback] = [Logging(journal.metrics, show), validation, checkpointing]
    with stopped_by_signals(run):
        train(run, callbacks)
    if not run.done:
        checkpointing.save(run)
        journal.say(f"stopped after step {run.step} of {config.steps}; the same command goes on from there")
        raise KeyboardInterrupt
    write_best(run, manager, tokenizer, out, SpecialIds(opened.end_of_text_id, opened.end_of_text_id, opened.pad_id))
    return report(run, start)


def build_run(
    config: PretrainConfig,
    dataset: TokenDataset,
    tokenizer: Tokenizer,
    dtype: torch.dtype,
    device: str,
    start: ExistingModel | None = None,
) -> TrainingRun:
    """A run at step 0: seeded weights or those of `start`, optimizers, data from its beginning.

    Raises:
        TrainingError: Too little data.
        ConfigError: The mixture names a source or language that is not there, or `start` is another network.
        TokenizerError: `start` has another vocabulary.
    """
    network = build_network(config, tokenizer, start)
    shape = network.config
    network.compute_dtype = dtype
    network.to(device)
    loader = BatchLoader(
        dataset,
        config.batch_sequences,
        shape.context_length,
        config.seed,
        config.data,
        budget=config.steps * config.batch_sequences * shape.context_length,
        end_of_text_id=tokenizer.end_of_text_id,
    )
    return TrainingRun(network, build_optimizers(network, config), loader, config)


def build_network(config: PretrainConfig, tokenizer: Tokenizer, start: ExistingModel | None) -> Decoder:
    """The decoder before the first step."""
    if start is None:
        network = Decoder(config.model.model_copy(update={"vocab_size": tokenizer.vocab_size}))
        initialize(network, torch_generator(config.seed, "weights"))
        return network
    network = Decoder(starting_shape(START, start.folder, config.model, tokenizer))
    starting_weights(network, start.folder)
    return network


def run_identity(config: PretrainConfig, inputs: Mapping[str, Path], dtype: torch.dtype, device: str) -> dict[str, str]:
    """Everything that decides the weights: a checkpoint is used only by a run with the same identity."""
    folder = Path(library.__file__).parent
    files = [p for package in CODE_THAT_DECIDES for p in sorted((folder / package).rglob("*.py"))]
    code = {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}
    return {
        "params": sha256_text(canonical_json(config.model_dump(mode="json"))),
        "code": content_digest(code),
        **{name: folder_digest(path) for name, path in inputs.items()},
        "threads": str(torch.get_num_threads()),
        "kernels": "on" if kernels_used() else "off",
        "dtype": str(dtype),
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


@contextmanager
def stopped_by_signals(run: TrainingRun) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run after the current step, with a checkpoint."""

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        run.stop = True

    try:
        before: dict[int, Any] = {s: signal.signal(s, ask_to_stop) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_best(run: TrainingRun, manager: CheckpointManager, tokenizer: Path, out: Path, special: SpecialIds) -> None:
    """Write the best weights as a Hugging Face folder with its tokenizer."""
    best = manager.best()
    if best is None:
        raise CheckpointError(f"{manager.folder}/best: missing or damaged; run `tisslm run --from pretrain --force`")
    run.model.load_state_dict(best.load("model"), strict=not run.model.config.tie_embeddings)
    save_model(run.model, out, special)
    copy_tokenizer(tokenizer, out)


def report(run: TrainingRun, start: ExistingModel | None = None) -> StageReport:
    """The stage's figures, loss curves and throughput, and where it started."""
    if run.best_validation_loss is None:
        raise TissLMError("pretrain: no validation was made")
    trained = [row for row in run.history if "train_loss" in row]
    validated = {row["step"]: row["validation_loss"] for row in run.history if "validation_loss" in row}
    steps = sorted({row["step"] for row in trained} | set(validated))
    losses = {row["step"]: row["train_loss"] for row in trained}
    speeds = sorted(row["tokens_per_second"] for row in trained)
    speed = speeds[len(speeds) // 2]
    parameters = run.model.num_params()
    perplexity = math.exp(run.best_validation_loss)
    mixed = len(run.loader.dataset.groups) > 1
    by_group: dict[str, float] = next(
        (row["validation_losses"] for row in reversed(run.history) if "validation_losses" in row), {}
    )
    return StageReport(
        headline=(
            f"{parameters / 1e6:.2f} M parameters, {run.tokens / 1e6:.2f} M tokens seen, "
            f"validation loss {run.best_validation_loss:.3f}, {speed:,.0f} tokens/s"
        ),
        metrics={
            "parameters": parameters,
            "steps": run.step,
            "tokens": run.tokens,
            "train_loss": trained[-1]["train_loss"],
            "validation_loss": round(run.best_validation_loss, 6),
            "validation_perplexity": round(perplexity, 4),
            "best_step": run.best_step,
            "tokens_per_second": round(speed, 1),
        },
        series={
            "loss": [
                {"step": s, "train_loss": losses.get(s, ""), "validation_loss": validated.get(s, "")} for s in steps
            ],
            "throughput": [{"step": row["step"], "tokens_per_second": row["tokens_per_second"]} for row in trained],
            "learning_rate": [{"step": row["step"], "learning_rate": row["learning_rate"]} for row in trained],
            **({"mixture": mixture_series(run.loader, run.history)} if mixed else {}),
        },
        tables={
            **({"Mixture": mixture_rows(run.loader)} if mixed else {}),
            **(
                {"Validation loss by group": [{"group": k, "validation_loss": v} for k, v in by_group.items()]}
                if by_group
                else {}
            ),
        },
        facts={
            "epochs": run.loader.epoch,
            "dtype": str(run.model.compute_dtype).removeprefix("torch."),
            **packing_facts(run.loader),
            **(
                {"from": {"model": start.name, "digest": start.digest, "validation_loss": validated[0]}}
                if start
                else {}
            ),
        },
    )
