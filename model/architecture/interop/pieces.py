"""How our tensors relate to published ones: a list of pieces, read in both directions.

A piece is one of our tensors, the published ones that it is made of, and the way from them to it. Import joins, export
splits, and the shapes that a file should have come from splitting tensors without data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from model.errors import CheckpointError


class Conversion(Protocol):
    """One of our tensors from published ones, and back."""

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """Ours from the published ones, in the order of the piece."""
        ...

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """The published ones from ours; views where possible."""
        ...


class Same:
    """One tensor, the same on both sides."""

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """The only one."""
        return published[0]

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """The only one."""
        return [ours]


class Transposed:
    """GPT-2 stores its matrices as (in, out)."""

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """Turned around."""
        return published[0].T

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """Turned around."""
        return [ours.T]


class PlusOne:
    """Gemma stores the weights of its norms less one."""

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """One more, in float32: files are in bfloat16, which has three digits near 1."""
        return published[0].to(torch.promote_types(published[0].dtype, torch.float32)) + 1

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """One less."""
        return [ours - 1]


class Filters:
    """Filters of a depthwise convolution: (channels, 1, width) published, (channels, width) here."""

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """Without the dimension of 1."""
        return published[0].squeeze(1)

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """With the dimension of 1."""
        return [ours.unsqueeze(1)]


@dataclass(frozen=True)
class Rows:
    """Matrices or vectors one below the other.

    Attributes:
        sizes: Rows of each.
    """

    sizes: tuple[int, ...]

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """One below the other."""
        return torch.cat(list(published))

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """Each by its rows."""
        parts: Sequence[Tensor] = ours.split(list(self.sizes))
        return parts


@dataclass(frozen=True)
class Stacked:
    """Experts: `n` groups of matrices, each group one below the other, all groups in a new first dimension."""

    n: int

    def join(self, published: Sequence[Tensor]) -> Tensor:
        """(experts, rows of a group, columns)."""
        each = len(published) // self.n
        return torch.stack([torch.cat(list(published[i * each : (i + 1) * each])) for i in range(self.n)])

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """All groups as they are; `Halved` cuts them."""
        return list(ours)


@dataclass(frozen=True)
class StackedPairs(Stacked):
    """Experts whose groups are pairs of equal matrices (gate and up)."""

    def split(self, ours: Tensor) -> Sequence[Tensor]:
        """Gate and up of the first, of the second, ..."""
        return [half for group in ours for half in group.chunk(2)]


SAME, TRANSPOSED, PLUS_ONE, FILTERS = Same(), Transposed(), PlusOne(), Filters()


@dataclass(frozen=True)
class Piece:
    """One of our tensors and what it is made of.

    Attributes:
        ours: Its name in `Decoder`.
        published: Names in the published layout.
        way: From them to it.
    """

    ours: str
    published: tuple[str, ...]
    way: Conversion = SAME


def exported(state: Mapping[str, Tensor], pieces: Iterable[Piece]) -> dict[str, Tensor]:
    """Published tensors by name; views of ours where possible."""
    tensors: dict[str, Tensor] = {}
    for piece in pieces:
        tensors |= zip(piece.published, piece.way.split(state[piece.ours]), strict=True)
    return tensors


def imported(
    tensors: Mapping[str, Tensor], pieces: Sequence[Piece], expected: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """Our tensors by name.

    Args:
        tensors: Published ones.
        pieces: Of the family and configuration.
        expected: Our tensors without data (meta), for their shapes.
        where: Names the file in messages.

    Raises:
        CheckpointError: A tensor is missing or has another shape; the message names it, and both shapes.
    """
    for name, wanted in exported(expected, pieces).items():
        if name not in tensors:
            raise CheckpointError(f"{where}: tensor {name} is missing, expected shape {tuple(wanted.shape)}")
        if tensors[name].shape != wanted.shape:
            raise CheckpointError(
                f"{where}: {name} has shape {tuple(tensors[name].shape)}, expected {tuple(wanted.shape)} by config.json"
            )
    return {piece.ours: piece.way.join([tensors[name] for name in piece.published]) for piece in pieces}
