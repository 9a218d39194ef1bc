"""Rotary positions (Su et al. 2021, "RoFormer", arXiv:2104.09864), in the half-split layout of Llama.

How frequencies stretch for a longer context is in rotary_scaling.py, tables that are added to embeddings are in
added_positions.py, ALiBi is a bias of the scores (masks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model.architecture.config.options import NoScaling, Scaling
from model.architecture.rotary_scaling import attention_factor, stretched

NO_SCALING = NoScaling()


def rotary_table(
    positions: Tensor, head_size: int, theta: float, scaling: Scaling = NO_SCALING
) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions, laid out for `rotate`.

    Args:
        positions: Integer positions, any shape `S`.
        head_size: Features of a head, even.
        theta: Base of the frequencies.
        scaling: How they stretch for a longer context.

    Returns:
        cos, sin: float32 of shape `S + (head_size,)`: the cosines twice, the sines once negative and once as they are.
    """
    exponents = torch.arange(0, head_size, 2, dtype=torch.float32, device=positions.device) / head_size
    angles = positions.float().unsqueeze(-1) * stretched(1.0 / theta**exponents, theta, scaling)
    factor = attention_factor(scaling)
    cos, sin = angles.cos() * factor, angles.sin() * factor
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


class _Rotation(torch.autograd.Function):
    """The rotation and, backwards, the rotation by the negative angle."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradients[0], cos, sin, -1.0), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    """`x cos + swapped(x) sin`: three passes over whole heads; half heads are too short to fill a vector register."""
    first, second = x.chunk(2, dim=-1)
    swapped = torch.cat([second, first], dim=-1)
    return (x * cos).addcmul_(swapped, sin, value=direction)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys by their positions' angles.

    Args:
        x: (batch, heads, time, head_size) or any order that the tables broadcast to.
        cos: Broadcastable to x, e.g. (1, 1, time, head_size), in x's dtype; see `rotary_table`.
        sin: As cos.
    """
    turned: Tensor = _Rotation.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return turned


def unturned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys as they are, for layers without rotary positions."""
    del cos, sin
    return x


TURNS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"rope": rotate, "alibi": unturned, "none": unturned}
