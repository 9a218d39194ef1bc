"""A matrix product that follows the type of its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.kernels.library import takes
from model.kernels.product import few_rows, product


class _Product(torch.autograd.Function):
    """`x W^T` in float32 on a CPU, and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        for_x, for_weight = ctx.needs_input_grad
        flat, inputs = gradient.reshape(-1, gradient.shape[-1]), x.reshape(-1, x.shape[-1])
        return product(gradient, weight.T) if for_x else None, flat.T @ inputs if for_weight else None


class Linear(nn.Linear):
    """`y = x W^T`, without bias unless asked for, computed in x's type.

    The weights stay in their own type (float32 masters in training); in a bfloat16 stream each use casts them once.
    This replaces autocast, which would also decide for every other operation.
    """

    def __init__(self, features_in: int, features_out: int, *, bias: bool = False) -> None:
        super().__init__(features_in, features_out, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features_in) -> (..., features_out), in x's dtype."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        y: Tensor | None
        if not torch.is_grad_enabled():
            y = few_rows(x, self.weight)  # as they are: casting all weights would take longer
            y = product(x, self.weight.to(x.dtype)) if y is None else y
            return y if bias is None else y + bias
        if x.dtype == torch.float32 and takes(x, self.weight):
            y = _Product.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return y if bias is None else y + bias
        return functional.linear(x, self.weight.to(x.dtype), bias)

    by_weights_alone = forward
    """Says that a kernel which reads `weight` may stand for this `forward` (decoding_block.py)."""
