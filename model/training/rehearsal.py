"""The end of training, tried before its first step: what fails after hours could have failed at once.

The untrained network is written as the trained one will be, opened again, and has to compute the same; the disk must
have room for all that training writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from model.architecture.decoder import Decoder
from model.architecture.interop import SpecialIds, load_model, save_model
from model.dataset.shards import TokenDataset
from model.errors import StorageError, TissLMError, TrainingError
from model.tokenizer.tokenizer import Tokenizer, copy_tokenizer

INPUT_TOKENS = 8
SAFETY = 1.05


def rehearse_end(network: Decoder, tokenizer: Path, out: Path, special: SpecialIds) -> None:
    """Write the model folder, open it again, compare the logits of a short text, and remove the folder.

    Args:
        network: Before the first step; comes back as it was.
        tokenizer: Its folder.
        out: Where the trained model will be written; the trial lies in a folder inside.
        special: Ids that begin, end and pad texts.

    Raises:
        TrainingError: The folder cannot be written, cannot be opened, or computes something else.
        StorageError: The disk is full.
    """
    trial, was_there = out / "rehearsal", out.exists()
    try:
        write_model(network, tokenizer, trial, special)
        reopened = load_model(trial, device=str(network.embedding.weight.device))
        n_tokens = Tokenizer.open(trial).vocab_size
        difference = _difference(network, reopened, n_tokens)
    except StorageError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        said = str(error) if isinstance(error, TissLMError) else said
        raise TrainingError(
            f"pretrain.model: this network could not be saved and opened again ({said}); nothing was trained: "
            "choose another pretrain.model, and report this, because every network that can be trained should be saved"
        ) from error
    finally:
        shutil.rmtree(trial if was_there else out, ignore_errors=True)
    if difference:
        raise TrainingError(
            f"pretrain.model: this network, saved and opened again, computes something else ({difference}); nothing "
            "was trained: choose another pretrain.model, and report this"
        )


def write_model(network: Decoder, tokenizer: Path, folder: Path, special: SpecialIds) -> None:
    """Write a network as a Hugging Face folder with its tokenizer."""
    save_model(network, folder, special)
    copy_tokenizer(tokenizer, folder)


@torch.no_grad()
def _difference(network: Decoder, reopened: Decoder, n_tokens: int) -> str:
    """How the logits of two networks differ on a short input, in words; empty where they do not."""
    device = network.embedding.weight.device
    length = min(INPUT_TOKENS, network.config.context_length)
    ids_BT = (torch.arange(length, device=device) * 7919 % n_tokens)[None]
    dtype, was_training = network.compute_dtype, network.training
    network.compute_dtype = None  # as it is used later
    network.eval()
    try:
        ours, theirs = network(ids_BT), reopened(ids_BT)
    finally:
        network.compute_dtype = dtype
        network.train(was_training)
    if ours.shape != theirs.shape:
        return f"logits of shape {tuple(theirs.shape)}, expected {tuple(ours.shape)}"
    if torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5, equal_nan=True):
        return ""
    return f"logits differ by up to {(ours - theirs).abs().max().item():.3g}"


def check_validation_split(dataset: TokenDataset) -> None:
    """See that there is something to validate on.

    Raises:
        TrainingError: The split has fewer than two tokens.
    """
    if dataset.n_tokens < 2:
        raise TrainingError(
            f"validation split: {dataset.n_tokens} tokens, expected at least 2; add texts, or more of them to the "
            "split: tisslm run --set clean.validation_fraction=0.2"
        )


def check_disk(network: Decoder, optimizers: Mapping[str, torch.optim.Optimizer], kept: int, checkpoints: Path) -> None:
    """See that checkpoints, the best weights and the model have room on the disk, beside what is there already.

    One checkpoint more than is kept is counted, because the oldest goes only after the newest is whole, and likewise
    the best weights twice.

    Args:
        network: What is trained.
        optimizers: By name; AdamW has two moments for each weight, Muon one.
        kept: Generations of checkpoints.
        checkpoints: Their folder; files in it will be replaced.

    Raises:
        StorageError: There is less room.
    """
    weights = 4 * sum(p.numel() for p in network.parameters())
    moments = sum(
        4 * p.numel() * (2 if name == "adamw" else 1)
        for name, optimizer in optimizers.items()
        for group in optimizer.param_groups
        for p in group["params"]
    )
    there = sum(p.stat().st_size for p in checkpoints.rglob("*") if p.is_file())
    needed = int(SAFETY * ((kept + 1) * (weights + moments) + 3 * weights)) - there
    place = next(folder for folder in (checkpoints.absolute(), *checkpoints.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageError(
            f"{checkpoints}: training needs {needed:,} bytes for {kept + 1} checkpoints, the best weights and the "
            f"model, and {free:,} are free; free some space, or train a smaller network (pretrain.model), then run "
            "again; nothing was trained"
        )
