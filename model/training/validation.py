"""Loss on held-out text while training goes on."""

from __future__ import annotations

import torch

from model.architecture.decoder import Decoder
from model.dataset.shards import TokenDataset
from model.errors import TrainingError
from model.training.objectives import next_token_loss


def validation_loss(model: Decoder, dataset: TokenDataset, *, max_tokens: int, batch_sequences: int) -> float:
    """Mean loss over the first tokens of a split, every token once, in windows of the context length.

    Args:
        model: Put back into training mode afterwards.
        dataset: The validation split.
        max_tokens: At most so many targets are looked at; the same ones at every call.
        batch_sequences: Windows at once.

    Returns:
        Nats per token, averaged over tokens (not over batches).

    Raises:
        TrainingError: The split has fewer than two tokens.
    """
    length = model.config.context_length
    n_targets = min(max_tokens, dataset.n_tokens - 1)
    if n_targets < 1:
        raise TrainingError(
            f"validation split: {dataset.n_tokens} tokens, expected at least 2; raise clean.validation_fraction"
        )
    device = model.embedding.weight.device
    tokens = torch.from_numpy(dataset.read(0, n_targets + 1)).to(device)
    whole = n_targets // length
    groups = list(tokens[: whole * length].view(whole, length).split(batch_sequences)) if whole else []
    targets = list(tokens[1 : whole * length + 1].view(whole, length).split(batch_sequences)) if whole else []
    if n_targets % length:
        groups.append(tokens[whole * length : n_targets][None])
        targets.append(tokens[whole * length + 1 : n_targets + 1][None])
    was_training = model.training
    model.eval()
    total = 0.0
    with torch.no_grad():
        for inputs_BT, targets_BT in zip(groups, targets, strict=True):
            loss = next_token_loss(model.hidden(inputs_BT), model.head.weight, targets_BT)
            total += loss.item() * targets_BT.numel()
    model.train(was_training)
    return total / n_targets
