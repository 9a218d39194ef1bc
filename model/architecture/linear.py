"""A matrix product that follows the type of its input."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """`y = x W^T`, without bias unless asked for, computed in x's type.

    The weights stay in their own type (float32 masters in training); in a bfloat16 stream each use casts them once.
    This replaces autocast, which would also decide for every other operation.
    """

    def __init__(self, features_in: int, features_out: int, *, bias: bool = False) -> None:
        super().__init__(features_in, features_out, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features_in) -> (..., features_out), in x's dtype."""
        bias = self.bias
        return functional.linear(x, self.weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
