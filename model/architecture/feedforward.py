"""The feed-forward of Llama: a gated linear unit with SiLU (Shazeer 2020, arXiv:2002.05202, eq. 6)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.linear import Linear


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


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))`; gate and up are one matrix product."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = Linear(config.d_model, 2 * config.d_ff)
        self.down = Linear(config.d_ff, config.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        y_BTD: Tensor = self.down(_GatedSiLU.apply(self.gate_up(x_BTD)))  # type: ignore[no-untyped-call]
        return y_BTD
