"""Vectors of other modalities in a sequence of tokens: pictures, sounds, anything that an encoder made.

Modalities that are codes need nothing here: their codes are tokens of the same vocabulary. Where an encoder gives
vectors (LLaVA, Liu et al. 2023, arXiv:2304.08485), the sequence has a placeholder token for each, and the vector takes
the place of the placeholder's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from model.errors import ConfigError


class Inserts(Protocol):
    """What is put into the embedded sequence."""

    def into(self, tokens_BT: Tensor, x_BTD: Tensor) -> Tensor:
        """(batch, time) int64, (batch, time, d_model) -> (batch, time, d_model)."""
        ...


class NoInserts:
    """Text alone."""

    def into(self, tokens_BT: Tensor, x_BTD: Tensor) -> Tensor:
        """Return x_BTD."""
        del tokens_BT
        return x_BTD


@dataclass(frozen=True)
class AtPlaceholders:
    """Vectors in the places of one token.

    Attributes:
        placeholder_id: The token that a vector replaces.
        vectors: (placeholders in the batch, d_model), row by row in the order of the sequences.
    """

    placeholder_id: int
    vectors: Tensor

    def into(self, tokens_BT: Tensor, x_BTD: Tensor) -> Tensor:
        """Put the vectors in; gradients flow to them.

        Raises:
            ConfigError: There are more or fewer placeholders than vectors, or the width differs.
        """
        places_BT = tokens_BT == self.placeholder_id
        wanted = (int(places_BT.sum()), x_BTD.shape[2])
        if self.vectors.shape != wanted:
            raise ConfigError(
                f"inserts: {tuple(self.vectors.shape)} vectors for {wanted[0]} placeholders (token "
                f"{self.placeholder_id}) of width {wanted[1]}; give one vector for each placeholder"
            )
        return x_BTD.masked_scatter(places_BT[..., None], self.vectors.to(x_BTD.dtype))


TEXT_ALONE = NoInserts()
