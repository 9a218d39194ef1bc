"""A matrix product that follows the type of its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.kernels.launch import NUMBERS, without_gradients
from model.kernels.product_kernels import INT8, few_rows_product

FEW_ROWS = {torch.float32: 8, torch.bfloat16: 4}
"""Rows up to which our own product is faster than torch's, by the type of x."""
MANY_ROWS = 64
"""Rows from which oneDNN's float32 product is worth its call."""


def _onednn() -> Any:
    """OneDNN's product, where torch was built with it: for float32 torch itself takes MKL's."""
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


ONEDNN = _onednn()


def few_rows(x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor | None:
    """`x W^T` by a kernel that reads every weight once, where that is the fastest way; None elsewhere.

    Args:
        x: (..., features_in).
        weight: (features_out, features_in) in a type that kernels know, or int8.
        scale: (features_out,) float32, of int8 weights.
    """
    features, outputs = x.shape[-1], weight.shape[0]
    rows = x.numel() // features if features else 0
    if not (0 < rows <= FEW_ROWS.get(x.dtype, 0) and without_gradients(x) and weight.is_contiguous()):
        return None
    kind = INT8 if weight.dtype == torch.int8 else NUMBERS.get(weight.dtype)
    if kind is None or weight.device.type != "cpu":
        return None
    x, y = x.contiguous(), x.new_empty(*x.shape[:-1], outputs)
    space = torch.empty(torch.get_num_threads() * rows * features)
    few_rows_product.launch(
        outputs, weight.numel() * rows, NUMBERS[x.dtype], kind, rows, features, x, weight,
        weight if scale is None else scale, y, space,
    )  # fmt: skip
    return y


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x W^T` by the fastest product there is, without gradients.

    A few rows on a CPU, as in decoding, take our own kernel, which reads memory as fast as it can be read. For many
    rows in float32 oneDNN's product is a tenth to a half faster than MKL's, which torch takes, at the widths of small
    models (docs/lab-log.md); in bfloat16 torch takes oneDNN's by itself.

    Args:
        x: (..., features_in).
        weight: (features_out, features_in), in x's dtype; a transposed view will do.

    Returns:
        (..., features_out).
    """
    by_kernel = few_rows(x, weight)
    if by_kernel is not None:
        return by_kernel
    many = x.dtype == torch.float32 and x.device.type == "cpu" and x.numel() >= MANY_ROWS * x.shape[-1]
    if many and ONEDNN is not None:
        found: Tensor = ONEDNN(x, weight.contiguous(), None, "none", [], "")
        return found
    return functional.linear(x, weight)


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
        if x.dtype == self.weight.dtype == torch.float32 and x.device.type == "cpu":
            y = _Product.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return y if bias is None else y + bias
        return functional.linear(x, self.weight.to(x.dtype), bias)
