"""Losses that parts ask for beside the cross-entropy: experts want even loads, a feed-forward sparse activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class AsksForLoss(Protocol):
    """A part that adds to the objective in training."""

    def weighted_losses(self) -> list[Tensor]:
        """Scalars of the last forward pass in training, times their weights; empty before it."""
        ...


def auxiliary_loss(model: nn.Module) -> Tensor | None:
    """The sum of what all parts ask for after a forward pass in training; None where none asks."""
    parts = [module for module in model.modules() if isinstance(module, AsksForLoss)]
    terms = [loss for part in parts for loss in part.weighted_losses()]
    return torch.stack(terms).sum() if terms else None


class ActivationWatch(nn.Module):
    """Passes activations on, asks for small ones in training, and counts the zeros.

    An L1 penalty makes most activations of a ReLU network zero at little cost (Mirzadeh et al. 2023, "ReLU Strikes
    Back", arXiv:2310.04564; the penalty is Georgiadis 2019, arXiv:1812.04056).

    Attributes:
        weight: Of the penalty; 0 only counts.
        sparsity: Share of activations that were 0 in the last forward pass.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.sparsity = 0.0
        self._mean_size: Tensor | None = None

    def forward(self, a_BTF: Tensor) -> Tensor:
        """Return the activations, any shape."""
        with torch.no_grad():
            self.sparsity = float((a_BTF == 0).float().mean())
        if self.training:
            self._mean_size = a_BTF.abs().mean(dtype=torch.promote_types(a_BTF.dtype, torch.float32))
        return a_BTF

    def weighted_losses(self) -> list[Tensor]:
        """The penalty."""
        return [] if self._mean_size is None else [self.weight * self._mean_size]


def unwatched(a_BTF: Tensor) -> Tensor:
    """Return the activations."""
    return a_BTF


def build_watch(weight: float) -> Callable[[Tensor], Tensor]:
    """A watch where there is a penalty, nothing else."""
    return ActivationWatch(weight) if weight else unwatched


def activation_sparsity(model: nn.Module) -> dict[str, float]:
    """For each watched feed-forward, the share of zeros in the last forward pass."""
    return {name: part.sparsity for name, part in model.named_modules() if isinstance(part, ActivationWatch)}
