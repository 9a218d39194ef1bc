"""`activation(gate) * up`: what a gated unit does between its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model.architecture.activation import ACTIVATIONS, GATES
from model.kernels.gate import gated_silu as by_kernel
from model.kernels.library import takes


class _GatedSiLU(torch.autograd.Function):
    """`silu(gate) * up`; the gradient is written straight into one buffer for both halves."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        (gradient,) = gradients
        gate, up = gate_up.chunk(2, dim=-1)
        result = torch.empty_like(gate_up)
        gate_gradient, up_gradient = result.chunk(2, dim=-1)
        torch.mul(functional.silu(gate), gradient, out=up_gradient)
        gate_gradient.copy_(torch.ops.aten.silu_backward(gradient * up, gate))
        return result


def gated_silu(gate_up: Tensor) -> Tensor:
    """`silu(gate) * up` of a tensor that holds gate, then up, in its last dimension."""
    if takes(gate_up):
        return by_kernel(gate_up)
    y: Tensor = _GatedSiLU.apply(gate_up)  # type: ignore[no-untyped-call]
    return y


def gated(kind: str) -> Callable[[Tensor], Tensor]:
    """`activation(gate) * up` of a tensor that holds gate, then up, in its last dimension."""
    if kind == "swiglu":
        return gated_silu
    activation = ACTIVATIONS[GATES[kind]]

    def product(gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return activation(gate) * up

    return product
