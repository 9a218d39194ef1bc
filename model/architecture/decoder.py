"""The decoder: embedding, blocks, norm, head. Exactly Llama, see `ModelConfig` for the papers.

Shapes: B batch, T time (tokens), D d_model, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.architecture.attention import (
    AttentionContext,
    KeyValueCache,
    attention_mask,
    document_borders,
    document_positions,
)
from model.architecture.block import Block
from model.architecture.config import ModelConfig
from model.architecture.linear import Linear
from model.architecture.norm import RMSNorm
from model.architecture.position import rotary_table
from model.errors import ConfigError


class Decoder(nn.Module):
    """A causal language model.

    Args:
        config: The shape; `vocab_size` must be set.

    Attributes:
        compute_dtype: Type of the residual stream and the matrix products; None is the weights' own type.

    Raises:
        ConfigError: `vocab_size` is not set.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocab_size is None:
            raise ConfigError("pretrain.model.vocab_size: not set; it comes from the tokenizer")
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.embedding_dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.head = Linear(config.d_model, config.vocab_size)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.compute_dtype: torch.dtype | None = None
        self._angles: tuple[Tensor, Tensor] | None = None

    def forward(
        self, tokens_BT: Tensor, *, cache: KeyValueCache | None = None, padding_BT: Tensor | None = None
    ) -> Tensor:
        """Logits for the token after every token.

        Args:
            tokens_BT: (batch, time) int64, the tokens that the cache does not hold yet.
            cache: Keys and values of earlier tokens; it takes up the new ones.
            padding_BT: (batch, cached + time) bool, True = real token, for left-padded batches. Positions count only
                real tokens, so padding changes no result.

        Returns:
            (batch, time, vocab) float32.
        """
        logits_BTV: Tensor = self.head(self.hidden(tokens_BT, cache=cache, padding_BT=padding_BT)).float()
        return logits_BTV

    def hidden(
        self,
        tokens_BT: Tensor,
        *,
        cache: KeyValueCache | None = None,
        padding_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor:
        """The normalized residual stream before the head: (batch, time, d_model).

        Args:
            tokens_BT: As for the logits.
            cache: As for the logits.
            padding_BT: As for the logits.
            documents_BT: (batch, time) int64, the number of each token's document in its sequence, for sequences of
                several documents that must not see each other: each is computed as if it stood alone. It goes with
                neither a cache nor padding.
        """
        time = tokens_BT.shape[1]
        x_BTD = self.embedding_dropout(self.embedding(tokens_BT))
        x_BTD = x_BTD.to(self.compute_dtype or x_BTD.dtype)
        angles = self._rotary(time, cache, padding_BT, documents_BT, tokens_BT.device)
        cos, sin = (table.to(x_BTD.dtype) for table in angles)
        mask = attention_mask(time, cache, padding_BT, tokens_BT.device)
        borders = None if documents_BT is None else document_borders(documents_BT, x_BTD.dtype)
        context = AttentionContext(cos, sin, mask, cache, borders)
        for block in self.blocks:
            x_BTD = block(x_BTD, context)
        if cache is not None:
            cache.advance(time)
        normed_BTD: Tensor = self.norm(x_BTD)
        return normed_BTD

    def _rotary(
        self,
        time: int,
        cache: KeyValueCache | None,
        padding_BT: Tensor | None,
        documents_BT: Tensor | None,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines for the new tokens, broadcastable to (batch, heads, time, head_size)."""
        earlier = cache.length if cache is not None else 0
        size, theta = self.config.head_size, self.config.rope_theta
        if padding_BT is not None:
            positions_BT = (padding_BT.long().cumsum(dim=1) - 1).clamp_min(0)[:, earlier:]
            cos, sin = rotary_table(positions_BT, size, theta)
            return cos[:, None], sin[:, None]
        if documents_BT is not None:
            cos, sin = rotary_table(document_positions(documents_BT), size, theta)
            return cos[:, None], sin[:, None]
        if self._angles is None or self._angles[0].shape[0] < earlier + time or self._angles[0].device != device:
            length = max(self.config.context_length, earlier + time)
            with torch.inference_mode(False):  # the table outlives this call and may be needed in training
                self._angles = rotary_table(torch.arange(length, device=device), size, theta)
        return tuple(table[None, None, earlier : earlier + time] for table in self._angles)  # type: ignore[return-value]

    def num_params(self) -> int:
        """Trainable numbers, tied ones once."""
        return sum(p.numel() for p in self.parameters())


def initialize(model: Decoder, generator: torch.Generator, std: float = 0.02) -> None:
    """Fill a decoder's weights: normal(0, std), the projections into the residual stream smaller by sqrt(2 layers).

    The scaling is GPT-2's (Radford et al. 2019, section 2.3); the norms start at one. Deterministic in `generator`.
    """
    residual_std = std / (2 * model.config.n_layers) ** 0.5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
                continue
            into_residual = name.endswith(("attention.out.weight", "feedforward.down.weight"))
            parameter.normal_(0.0, residual_std if into_residual else std, generator=generator)
