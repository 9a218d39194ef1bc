"""Positions that are added to the embeddings: learned, sinusoidal, or none."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.errors import ConfigError


class LearnedPositions(nn.Module):
    """One learned vector for each position (Radford et al. 2018, GPT)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.context_length, config.d_model))

    def forward(self, x_BTD: Tensor, positions: Tensor) -> Tensor:
        """(batch, time, d_model), (batch or 1, time) int64 -> (batch, time, d_model).

        Raises:
            ConfigError: A position has no vector.
        """
        if positions.shape[1] and int(positions.max()) >= self.weight.shape[0]:
            raise ConfigError(
                f"position {int(positions.max())} has no learned vector, the model has {self.weight.shape[0]}; "
                "give at most context_length tokens"
            )
        return x_BTD + self.weight[positions].to(x_BTD.dtype)


class SinusoidalPositions(nn.Module):
    """Sines and cosines of the position (Vaswani et al. 2017, section 3.5), interleaved as in the paper."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.d_model = config.d_model

    def forward(self, x_BTD: Tensor, positions: Tensor) -> Tensor:
        """(batch, time, d_model), (batch or 1, time) int64 -> (batch, time, d_model)."""
        index = torch.arange(0, self.d_model, 2, dtype=torch.float32, device=x_BTD.device)
        angles = positions.float().unsqueeze(-1) * torch.exp(index * (-math.log(10000.0) / self.d_model))
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
        return x_BTD + waves.to(x_BTD.dtype)


class NoAddedPositions(nn.Module):
    """Embeddings as they are: positions come in elsewhere, or not at all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        del config

    def forward(self, x_BTD: Tensor, positions: Tensor) -> Tensor:
        """Return x_BTD."""
        del positions
        return x_BTD


ADDED_POSITIONS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "learned": LearnedPositions,
    "sinusoidal": SinusoidalPositions,
    "rope": NoAddedPositions,
    "alibi": NoAddedPositions,
    "none": NoAddedPositions,
}
