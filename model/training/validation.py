"""Loss on held-out text while training goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from model.architecture.decoder import Decoder
from model.dataset.shards import TokenDataset
from model.dataset.streams import Stream, WholeStream, documents_between, streams_by
from model.dataset.windows import IGNORED
from model.errors import TrainingError


def validation_loss(
    model: Decoder, dataset: TokenDataset, *, max_tokens: int, batch_sequences: int, borders: str = "ignore"
) -> float:
    """Mean loss over the first tokens of a split, every token once, in windows of the context length.

    Args:
        model: Put back into training mode afterwards.
        dataset: The validation split.
        max_tokens: At most so many targets are looked at; the same ones at every call.
        batch_sequences: Windows at once.
        borders: Whether attention and loss cross documents, as in training; see `PackingConfig`.

    Returns:
        Nats per token, averaged over tokens (not over batches).

    Raises:
        TrainingError: The split has fewer than two tokens.
    """
    if min(max_tokens, dataset.n_tokens - 1) < 1:
        raise TrainingError(
            f"validation split: {dataset.n_tokens} tokens, expected at least 2; raise clean.validation_fraction"
        )
    return _stream_loss(model, WholeStream(dataset), max_tokens, batch_sequences, borders)


def validation_losses_by(
    model: Decoder, dataset: TokenDataset, by: str, *, max_tokens: int, batch_sequences: int, borders: str
) -> dict[str, float]:
    """The same for each source or language of a split by itself; those with fewer than two tokens are left out.

    Args:
        model: As above.
        dataset: As above.
        by: `source`, `language` or `source_language`.
        max_tokens: Targets of each.
        batch_sequences: As above.
        borders: As above.

    Returns:
        Nats per token by name.
    """
    streams = streams_by(dataset, lambda group: group.key(by))
    return {
        name: _stream_loss(model, stream, max_tokens, batch_sequences, borders)
        for name, stream in streams.items()
        if stream.n_tokens > 1
    }


def _stream_loss(model: Decoder, stream: Stream, max_tokens: int, batch_sequences: int, borders: str) -> float:
    n_targets = min(max_tokens, stream.n_tokens - 1)
    read = np.empty(n_targets + 1, np.int64)
    stream.read_into(read, 0)
    device = model.device
    tokens = torch.from_numpy(read).to(device)
    targets = tokens[1:].clone()
    documents = None
    if borders != "ignore":
        sizes = documents_between(stream.starts, 0, n_targets + 1)[1]
        of_token = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)).to(device)
        documents = of_token[:-1]
        if borders == "block":
            targets[of_token[1:] != of_token[:-1]] = IGNORED
    length = model.config.context_length
    was_training = model.training
    model.eval()
    total, counted = 0.0, 0
    with torch.no_grad():
        for part in _parts(n_targets, length, batch_sequences):
            shape = (-1, min(length, part.stop - part.start))
            inputs_BT, targets_BT = tokens[:-1][part].view(shape), targets[part].view(shape)
            documents_BT = None if documents is None else documents[part].view(shape)
            n_counted = int((targets_BT >= 0).sum())
            total += model(inputs_BT, targets_BT=targets_BT, documents_BT=documents_BT).item() * n_counted
            counted += n_counted
    model.train(was_training)
    return total / max(1, counted)


def _parts(n_targets: int, length: int, batch_sequences: int) -> Iterator[slice]:
    """Batches of whole windows, then what is left as one short window."""
    whole = n_targets // length * length
    step = batch_sequences * length
    for start in range(0, whole, step):
        yield slice(start, min(start + step, whole))
    if n_targets > whole:
        yield slice(whole, n_targets)
