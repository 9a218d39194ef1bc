"""Activations of the feed-forwards, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

TABLE_LIMIT, TABLE_STEPS = 8.0, 4096


def squared_relu(x: Tensor) -> Tensor:
    """`relu(x)^2` (So et al. 2021, "Primer", arXiv:2109.08668)."""
    return functional.relu(x).square()


@functools.cache
def _gelu_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """GELU at evenly spaced points, and the slopes between them."""
    points = torch.linspace(-TABLE_LIMIT, TABLE_LIMIT, TABLE_STEPS + 1, dtype=torch.float64)
    values = functional.gelu(points)
    slopes = values.diff() * (TABLE_STEPS / (2 * TABLE_LIMIT))
    return values.float().to(device), slopes.float().to(device)


class _TableGELU(torch.autograd.Function):
    """GELU from a table, straight lines between its points; the gradient is the line's slope."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        values, slopes = _gelu_table(x.device)
        place = (x.float() + TABLE_LIMIT) * (TABLE_STEPS / (2 * TABLE_LIMIT))
        index = place.floor().clamp_(0, TABLE_STEPS - 1).long()
        slope = slopes[index]
        ctx.save_for_backward(slope)
        start = index.float() * (2 * TABLE_LIMIT / TABLE_STEPS) - TABLE_LIMIT
        return torch.addcmul(values[index], slope, x.float() - start).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        gradient: Tensor = gradients[0] * slope.to(gradients[0].dtype)
        return gradient


def table_gelu(x: Tensor) -> Tensor:
    """GELU by a lookup table of 4096 steps; off by less than 2e-6 up to |x| = 8, and by 0 from there."""
    y: Tensor = _TableGELU.apply(x)  # type: ignore[no-untyped-call]
    return y


def tanh_gelu(x: Tensor) -> Tensor:
    """GELU by its tanh formula, as GPT-2 and Gemma compute it (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return functional.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu2": squared_relu,
    "gelu": functional.gelu,
    "gelu_tanh": tanh_gelu,
    "gelu_table": table_gelu,
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
}
GATES: dict[str, str] = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "glu": "sigmoid"}
"""Which activation a gated unit puts on its gate (Shazeer 2020, arXiv:2002.05202)."""
