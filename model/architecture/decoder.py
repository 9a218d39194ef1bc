"""The decoder: embedding, blocks, norm, head. Llama by default; `ModelConfig` swaps the parts.

Shapes: B batch, T time (tokens), D d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn

from model.architecture.added_positions import ADDED_POSITIONS
from model.architecture.block import build_block
from model.architecture.config import ModelConfig
from model.architecture.depth import build_depth
from model.architecture.embedding import build_embedding, build_noise
from model.architecture.head import build_final_norm, build_head, build_readout
from model.architecture.initialization import initialize
from model.architecture.inserts import TEXT_ALONE, Inserts
from model.architecture.loss import PLAIN, LossOptions, exit_loss, head_loss
from model.architecture.masks import (
    AttentionContext,
    KeyValueCache,
    attention_mask,
    document_positions,
    padded_positions,
)
from model.architecture.position import rotary_table
from model.errors import ConfigError

__all__ = ["Decoder", "initialize"]


class Decoder(nn.Module):
    """A causal language model.

    Args:
        config: The shape; `vocab_size` must be set.

    Attributes:
        compute_dtype: Type of the residual stream and the matrix products; None is the weights' own type.

    Raises:
        ConfigError: `vocab_size` is not set, or does not fit.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocab_size is None:
            raise ConfigError("pretrain.model.vocab_size: not set; it comes from the tokenizer")
        if config.embedding.cutoffs and config.embedding.cutoffs[-1] >= config.vocab_size:
            raise ConfigError(
                f"pretrain.model.embedding.cutoffs: {config.embedding.cutoffs[-1]} is not below the vocabulary's "
                f"{config.vocab_size} tokens; lower it"
            )
        self.config = config
        self.embedding = build_embedding(config)
        self.added_positions = ADDED_POSITIONS[config.position.kind](config)
        self.embedding_noise = build_noise(config)
        self.embedding_dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(build_block(config, layer) for layer in range(config.n_layers))
        self.depth = build_depth(config)
        self.norm = build_final_norm(config)
        self.readout = build_readout(config)
        self.head = build_head(config)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.compute_dtype: torch.dtype | None = None
        self._angles: tuple[Tensor, Tensor] | None = None

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        cache: KeyValueCache | None = None,
        padding_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
        targets_BT: Tensor | None = None,
        options: LossOptions = PLAIN,
        last_only: bool = False,
    ) -> Tensor:
        """Logits for the token after every token, or, with targets, the loss.

        Args:
            tokens_BT: (batch, time) int64, the tokens that the cache does not hold yet.
            cache: Keys and values of earlier tokens; it takes up the new ones.
            padding_BT: (batch, cached + time) bool, True = real token, for left-padded batches. Positions count only
                real tokens, so padding changes no result.
            documents_BT: See `hidden`.
            targets_BT: (batch, time) int64, the tokens one on; negative ones are not counted.
            options: What is added to the cross-entropy.
            last_only: Logits of the last token only.

        Returns:
            (batch, time, vocab) float32, time 1 with `last_only`; with targets a scalar, nats per counted token, in
            training with what early exits cost. Full logits then never exist.
        """
        hidden_BTD = self.hidden(tokens_BT, cache=cache, padding_BT=padding_BT, documents_BT=documents_BT)
        if targets_BT is None:
            logits_BTV: Tensor = self.head(hidden_BTD[:, -1:] if last_only else hidden_BTD).float()
            return logits_BTV
        exits: list[Tensor] = self.depth.take_exits()  # type: ignore[operator]
        loss = head_loss(self.head, hidden_BTD, targets_BT, options)
        for exit_BTD in exits:
            confident: Callable[[Tensor], Tensor] = self.depth.confident  # type: ignore[assignment]
            cost = exit_loss(self.head, confident, exit_BTD, hidden_BTD, targets_BT, options)
            loss = loss + self.config.depth.exit_loss * cost / len(exits)
        return loss

    def hidden(
        self,
        tokens_BT: Tensor,
        *,
        cache: KeyValueCache | None = None,
        padding_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
        inserts: Inserts = TEXT_ALONE,
    ) -> Tensor:
        """The normalized residual stream before the head: (batch, time, d_model).

        Args:
            tokens_BT: As for the logits.
            cache: As for the logits.
            padding_BT: As for the logits.
            documents_BT: (batch, time) int64, the number of each token's document in its sequence, for sequences of
                several documents that must not see each other: each is computed as if it stood alone. It goes with
                neither a cache nor padding.
            inserts: Vectors of other modalities in the places of tokens.
        """
        x_BTD = inserts.into(tokens_BT, self.embedding(tokens_BT))
        dtype = self.compute_dtype or x_BTD.dtype
        context = self._context(tokens_BT, cache, padding_BT, documents_BT, dtype)
        x_BTD = self.added_positions(x_BTD, context.new_positions(tokens_BT.shape[1]))
        x_BTD = self.embedding_dropout(self.embedding_noise(x_BTD)).to(dtype)
        x_BTD = self.depth(self.blocks, x_BTD, context, self._read)
        if cache is not None:
            cache.advance(tokens_BT.shape[1])
        return self._read(x_BTD)

    def _read(self, x_BTD: Tensor) -> Tensor:
        """What the head reads of the residual stream."""
        hidden_BTD: Tensor = self.readout(self.norm(x_BTD))
        return hidden_BTD

    def _context(
        self,
        tokens_BT: Tensor,
        cache: KeyValueCache | None,
        padding_BT: Tensor | None,
        documents_BT: Tensor | None,
        dtype: torch.dtype,
    ) -> AttentionContext:
        """What all layers share of this pass: positions, their angles, and who may look at whom."""
        time, device = tokens_BT.shape[1], tokens_BT.device
        earlier = cache.length if cache is not None else 0
        if padding_BT is not None:
            positions = padded_positions(padding_BT)
        elif documents_BT is not None:
            positions = document_positions(documents_BT)
        else:
            positions = torch.arange(earlier + time, device=device)[None]
        in_order = padding_BT is None and documents_BT is None
        cos, sin = self._angles_in_order(earlier, tokens_BT) if in_order else self._table(positions[:, earlier:])
        mask = attention_mask(time, cache, padding_BT, device)
        return AttentionContext(cos[:, None].to(dtype), sin[:, None].to(dtype), mask, cache, documents_BT, positions)

    def _angles_in_order(self, earlier: int, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The table's rows for the new tokens, (1, time, head_size); it is made once and kept."""
        time = tokens_BT.shape[1]
        if type(tokens_BT) is not Tensor or torch.compiler.is_compiling():  # what is traced is not kept
            return self._table(torch.arange(earlier, earlier + time, device=tokens_BT.device)[None])
        device = tokens_BT.device
        if self._angles is None or self._angles[0].shape[1] < earlier + time or self._angles[0].device != device:
            length = max(self.config.context_length, earlier + time)
            with torch.inference_mode(False):  # the table outlives this call and may be needed in training
                self._angles = self._table(torch.arange(length, device=device)[None])
        cos, sin = self._angles
        return cos[:, earlier : earlier + time], sin[:, earlier : earlier + time]

    def _table(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        return rotary_table(positions, config.head_size, config.rope_theta, config.position.scaling)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    def num_params(self) -> int:
        """Trainable numbers, tied ones once."""
        return sum(p.numel() for p in self.parameters())
