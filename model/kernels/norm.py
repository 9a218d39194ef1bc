"""RMSNorm as an operator: one pass over memory each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.kernels.launch import bits
from model.kernels.library import checked, differentiable, kind_of, operator, space
from model.kernels.norm_kernels import rms_backward, rms_forward


def _forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    features = x.shape[-1] if x.dim() else 0
    x, weight = (
        checked("rms_norm", "x", x, x.dtype, tuple(x.shape)),
        checked("rms_norm", "weight", weight, torch.float32, (features,)),
    )
    rows = x.numel() // features if features else 0
    y, scale = torch.empty_like(x), space(rows)
    rms_forward.launch(rows, x.numel(), kind_of("rms_norm", x), features, bits(eps), x, weight, y, scale)
    return y, scale


def _fake_forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    del eps
    return x.new_empty(x.shape), weight.new_empty(x.numel() // x.shape[-1])


def _backward(gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    features, name = x.shape[-1], "rms_norm_backward"
    x, weight = (
        checked(name, "x", x, x.dtype, tuple(x.shape)),
        checked(name, "weight", weight, torch.float32, (features,)),
    )
    gradient = checked(name, "gradient", gradient, x.dtype, tuple(x.shape))
    scale = checked(name, "scale", scale, torch.float32, (x.numel() // features,))
    x_gradient = torch.empty_like(x)
    # each thread sums its own rows
    parts = space(torch.get_num_threads(), features).zero_()
    rms_backward.launch(
        len(scale), x.numel(), kind_of(name, x), features, x, weight, scale, gradient, x_gradient, parts
    )
    return x_gradient, parts.sum(0)


def _fake_backward(gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    del gradient, scale
    return x.new_empty(x.shape), torch.empty_like(weight)


_rms_norm = operator("rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)", _forward, _fake_forward)
_rms_norm_backward = operator(
    "rms_norm_backward(Tensor gradient, Tensor x, Tensor weight, Tensor scale) -> (Tensor, Tensor)",
    _backward,
    _fake_backward,
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight, output[1])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, gradient: Tensor | None, of_scale: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
    del of_scale  # nobody gets the scale
    if gradient is None:
        return None, None, None
    return *_rms_norm_backward(gradient, *ctx.saved_tensors), None


differentiable("rms_norm", _gradients, _keep)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale the last dimension to unit root mean square, then by the weight.

    Args:
        x: (..., features) float32 or bfloat16 on a CPU.
        weight: (features,); it is taken as float32.
        eps: Added to the mean square.

    Returns:
        As x.
    """
    y: Tensor = _rms_norm(x, weight.float(), eps)[0]
    return y
