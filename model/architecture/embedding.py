"""From token ids to vectors: plain, scaled, adaptive; and the noise on them in training."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.linear import Linear


class ScaledEmbedding(nn.Embedding):
    """Rows of a table times sqrt(d_model) (Vaswani et al. 2017, section 3.4; Gemma)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Integer tokens of any shape S -> S + (d_model,)."""
        scaled: Tensor = super().forward(tokens) * self.embedding_dim**0.5
        return scaled


class AdaptiveEmbedding(nn.Module):
    """Frequent tokens get wide vectors, rare ones narrow, all projected to d_model.

    Baevski & Auli 2018 (arXiv:1809.10853), section 3. Ids are taken to fall in frequency, as a trained BPE's nearly do;
    each cluster is `narrowing` times narrower.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        borders = [0, *config.embedding.cutoffs, config.vocab_size or 0]
        self.clusters = list(pairwise(borders))
        widths = [config.d_model // config.embedding.narrowing**i for i in range(len(self.clusters))]
        self.tables = nn.ModuleList(nn.Embedding(hi - lo, w) for (lo, hi), w in zip(self.clusters, widths, strict=True))
        self.projections = nn.ModuleList(Linear(width, config.d_model) for width in widths)

    @property
    def weight(self) -> Tensor:
        """The widest table; where the embedding is, for those who ask for its device."""
        weight: Tensor = self.tables[0].weight  # type: ignore[assignment]
        return weight

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) int64 -> (batch, time, d_model)."""
        parts = []
        for (low, high), table, projection in zip(self.clusters, self.tables, self.projections, strict=True):
            inside = (tokens >= low) & (tokens < high)
            vectors = projection(table((tokens - low).clamp(0, high - low - 1)))
            parts.append(torch.where(inside[..., None], vectors, 0))
        return torch.stack(parts).sum(dim=0)


class EmbeddingNoise(nn.Module):
    """Uniform noise on the embeddings in training (Jain et al. 2023, NEFTune, arXiv:2310.05914, algorithm 1)."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(batch, time, d_model), same shape out; unchanged outside training."""
        if not self.training:
            return x_BTD
        bound = self.alpha / (x_BTD.shape[1] * x_BTD.shape[2]) ** 0.5
        return x_BTD + torch.empty_like(x_BTD).uniform_(-bound, bound)


EMBEDDINGS = {"one": nn.Embedding, "sqrt_width": ScaledEmbedding}


def build_embedding(config: ModelConfig) -> nn.Embedding | AdaptiveEmbedding:
    """The embedding that the configuration names."""
    if config.embedding.kind == "adaptive":
        return AdaptiveEmbedding(config)
    return EMBEDDINGS[config.embedding.scale](config.vocab_size or 0, config.d_model)


def build_noise(config: ModelConfig) -> nn.Module:
    """Noise on the embeddings, or nothing."""
    return EmbeddingNoise(config.embedding.noise) if config.embedding.noise else nn.Identity()
