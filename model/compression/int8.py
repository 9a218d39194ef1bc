"""Int8 weights: stored as int8, multiplied from int8.

Weights only, symmetric, round to nearest, one scale per output channel (Jacob et al. 2018, arXiv:1712.05877, section 3;
LLM.int8(), Dettmers et al. 2022, arXiv:2208.07339, calls it vector-wise). Activations stay as they are: one scale for
all of them ruins real language models. Unlike in the papers a scale is a bfloat16 number, rounded up, so that
the weights are the same numbers in a bfloat16 stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.architecture.soft_cap import soft_capped
from model.errors import CheckpointError
from model.kernels.product import few_rows, product

LEVELS = 127  # -127 to 127: symmetric, -128 is not used


def quantize_rows(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row of a matrix to 255 levels.

    Args:
        weight_OI: (out, in) floating point, finite.

    Returns:
        (out, in) int8 and (out,) float32 scales, so that `weight` is about `int8 * scale`, off by at most half a scale.

    Raises:
        CheckpointError: A weight is not finite.
    """
    weight_OI = weight_OI.detach().float()
    if not torch.isfinite(weight_OI).all():
        raise CheckpointError("int8: a weight is NaN or infinite, so it has no scale; train the model again")
    largest_O = weight_OI.abs().amax(dim=1)
    scale_O = round_up_to_bfloat16(largest_O / LEVELS)
    scale_O = torch.where(scale_O > 0, scale_O, torch.ones_like(scale_O))
    int8_OI = (weight_OI / scale_O[:, None]).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return int8_OI, scale_O


def round_up_to_bfloat16(values: Tensor) -> Tensor:
    """The next bfloat16 number at or above each value (non-negative float32 in, float32 out)."""
    nearest = values.to(torch.bfloat16)
    above = torch.nextafter(nearest, torch.full_like(nearest, torch.inf))
    return torch.where(nearest.float() < values, above, nearest).float()


class Int8Linear(nn.Module):
    """`y = x W^T`, plus a float32 bias where there is one, with W in int8.

    A few rows on a CPU (decoding) take a kernel that reads a quarter of float32's bytes (`kernels/product.py`). For
    more (prompts, scoring) the weights are widened for this one product and freed again, and the scale is applied to
    the result; widening costs as much as a few rows do. Both are exact but for the type's own rounding.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor | None = None) -> None:
        """Take (out, in) int8 weights, (out,) float32 scales and a (out,) float32 bias; none is copied."""
        super().__init__()
        self.register_buffer("weight", weight_OI)
        self.register_buffer("scale", scale_O)
        self.register_buffer("bias", bias_O)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), in x's dtype."""
        y = self._product(x)
        return y if self.bias is None else y + self.bias.to(x.dtype)

    by_weights_alone = forward  # see `Linear`

    def _product(self, x: Tensor) -> Tensor:
        found = few_rows(x, self.weight, self.scale)
        return product(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype) if found is None else found


class Int8SoftCappedHead(Int8Linear):
    """Logits kept below `cap` by tanh, as `SoftCappedHead`."""

    def __init__(self, weight_OI: Tensor, scale_O: Tensor, cap: float) -> None:
        super().__init__(weight_OI, scale_O)
        self.cap = cap

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab), in x's dtype."""
        return soft_capped(super().forward(x), self.cap)


class Int8Table(nn.Module):
    """Rows in int8 that are looked up, `table[index]`, in place of a float parameter."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight_VD: Tensor, scale_V: Tensor) -> None:
        """Take (rows, features) int8 weights and (rows,) float32 scales; neither is copied."""
        super().__init__()
        self.register_buffer("weight", weight_VD)
        self.register_buffer("scale", scale_V)

    @property
    def shape(self) -> torch.Size:
        """(rows, features)."""
        return self.weight.shape

    def __getitem__(self, index: Tensor) -> Tensor:
        """Integers of any shape S -> S + (features,) float32."""
        return self.weight[index].float() * self.scale[index].unsqueeze(-1)


class Int8Embedding(Int8Table):
    """A table of tokens, times a factor where the network has one; a tied head is an `Int8Linear` over its tensors."""

    def __init__(self, weight_VD: Tensor, scale_V: Tensor, factor: float = 1.0) -> None:
        super().__init__(weight_VD, scale_V)
        self.factor = factor

    def forward(self, tokens: Tensor) -> Tensor:
        """Integer tokens of any shape S -> S + (features,) float32."""
        return self[tokens] * self.factor
