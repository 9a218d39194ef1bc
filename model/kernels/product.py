"""`x W^T` as operators: few rows by a kernel that reads each weight once, many by the fastest of the libraries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model.kernels.library import NUMBERS, checked, kind_of, operator, refuse, space, takes, without_gradients
from model.kernels.product_kernels import INT8, few_rows_product

FEW_ROWS = {torch.float32: 8, torch.bfloat16: 4}
"""Rows up to which our own product is faster than torch's, by the type of x."""
MANY_ROWS = 64
"""Rows from which oneDNN's float32 product is worth its call."""
KINDS = {**NUMBERS, torch.int8: INT8}


def _onednn() -> Any:
    """OneDNN's product, where torch was built with it: for float32 torch itself takes MKL's."""
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


ONEDNN = _onednn()


def _few_rows(x: Tensor, weight: Tensor, scale: Tensor | None) -> Tensor:
    name, kind = "few_rows_product", KINDS.get(weight.dtype)
    if kind is None or weight.dim() != 2 or not x.dim() or (kind == INT8) != (scale is not None):
        raise refuse(
            name, f"a weight {tuple(weight.shape)} of {weight.dtype} needs {'a' if scale is None else 'no'} scale"
        )
    outputs, features = weight.shape
    x = checked(name, "x", x, x.dtype, (*x.shape[:-1], features))
    weight = checked(name, "weight", weight, weight.dtype, (outputs, features))
    scale = weight if scale is None else checked(name, "scale", scale, torch.float32, (outputs,))
    rows, y = x.numel() // max(1, features), _fake_few_rows(x, weight, scale)
    room = space(torch.get_num_threads() * rows * features)
    few_rows_product.launch(
        outputs, weight.numel() * rows, kind_of(name, x), kind, rows, features, x, weight, scale, y, room
    )
    return y


def _fake_few_rows(x: Tensor, weight: Tensor, scale: Tensor | None) -> Tensor:
    del scale
    return x.new_empty(*x.shape[:-1], weight.shape[0])


_few_rows_product = operator(
    "few_rows_product(Tensor x, Tensor weight, Tensor? scale) -> Tensor", _few_rows, _fake_few_rows
)


def few_rows(x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor | None:
    """`x W^T` by a kernel that reads every weight once, where that is the fastest way; None elsewhere.

    Args:
        x: (..., features_in).
        weight: (features_out, features_in) in a type that kernels know, or int8.
        scale: (features_out,) float32, of int8 weights.
    """
    most, features = FEW_ROWS.get(x.dtype, 0), x.shape[-1]
    if not (without_gradients(x) and 0 < x.numel() <= most * features and weight.dtype in KINDS):
        return None
    if not weight.is_contiguous() or not weight.is_cpu:
        return None
    y: Tensor = _few_rows_product(x, weight, scale)
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
    if x.dtype == torch.float32 and takes(x) and x.numel() >= MANY_ROWS * x.shape[-1] and ONEDNN is not None:
        found: Tensor = ONEDNN(x, weight.contiguous(), None, "none", [], "")
        return found
    return functional.linear(x, weight)
