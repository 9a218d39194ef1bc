"""Root-mean-square normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _RMSNormFunction(torch.autograd.Function):
    """Forward and backward in a handful of passes over memory; autograd's own chain takes three times as many."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square_().div_(x.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()
        normed = (x * scale).to(x.dtype)
        ctx.save_for_backward(normed, weight, scale)
        scaled: Tensor = normed * weight.to(x.dtype)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, weight, scale = ctx.saved_tensors
        (gradient,) = gradients
        product = gradient * normed
        weight_gradient = product.flatten(0, -2).sum(0, dtype=scale.dtype)
        dot = torch.matmul(product, weight.to(product.dtype)).unsqueeze(-1).to(scale.dtype) / normed.shape[-1]
        input_gradient = gradient * weight.to(gradient.dtype)
        input_gradient = input_gradient.addcmul_(normed, dot.to(normed.dtype), value=-1).mul_(scale.to(normed.dtype))
        return input_gradient, weight_gradient.to(weight.dtype), None


class RMSNorm(nn.Module):
    """Scale to unit root mean square, then by a learned weight (Zhang & Sennrich 2019, arXiv:1910.07467).

    The scale is computed in float32 whatever the input's type, as `LlamaRMSNorm` does.
    """

    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Normalize the last dimension: (batch, time, features), same shape and dtype out."""
        y_BTD: Tensor = _RMSNormFunction.apply(x_BTD, self.weight, self.eps)  # type: ignore[no-untyped-call]
        return y_BTD
