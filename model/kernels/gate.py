"""`silu(gate) * up` as an operator: one pass over memory each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.kernels.gate_kernels import silu_gate_backward, silu_gate_forward
from model.kernels.library import checked, differentiable, kind_of, operator, refuse


def _forward(gate_up: Tensor) -> Tensor:
    if not gate_up.dim() or gate_up.shape[-1] % 2:
        raise refuse("gated_silu", f"{tuple(gate_up.shape)} does not end with a gate and as many features beside it")
    gate_up = checked("gated_silu", "gate_up", gate_up, gate_up.dtype, tuple(gate_up.shape))
    y = _fake_forward(gate_up)
    features = y.shape[-1]
    rows = y.numel() // features if features else 0
    silu_gate_forward.launch(rows, gate_up.numel(), kind_of("gated_silu", y), features, gate_up, y)
    return y


def _fake_forward(gate_up: Tensor) -> Tensor:
    return gate_up.new_empty(*gate_up.shape[:-1], gate_up.shape[-1] // 2)


def _backward(gradient: Tensor, gate_up: Tensor) -> Tensor:
    name, features = "gated_silu_backward", gate_up.shape[-1] // 2
    gate_up = checked(name, "gate_up", gate_up, gate_up.dtype, tuple(gate_up.shape))
    gradient = checked(name, "gradient", gradient, gate_up.dtype, (*gate_up.shape[:-1], features))
    result = torch.empty_like(gate_up)
    rows = gradient.numel() // features if features else 0
    silu_gate_backward.launch(rows, gate_up.numel(), kind_of(name, gradient), features, gate_up, gradient, result)
    return result


def _fake_backward(gradient: Tensor, gate_up: Tensor) -> Tensor:
    del gradient
    return gate_up.new_empty(gate_up.shape)


_gated_silu = operator("gated_silu(Tensor gate_up) -> Tensor", _forward, _fake_forward)
_gated_silu_backward = operator(
    "gated_silu_backward(Tensor gradient, Tensor gate_up) -> Tensor", _backward, _fake_backward
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, gradient: Tensor) -> Tensor:
    found: Tensor = _gated_silu_backward(gradient, *ctx.saved_tensors)
    return found


differentiable("gated_silu", _gradients, _keep)


def gated_silu(gate_up: Tensor) -> Tensor:
    """(..., 2 features): gate, then up -> (..., features), float32 or bfloat16 on a CPU."""
    y: Tensor = _gated_silu(gate_up)
    return y
