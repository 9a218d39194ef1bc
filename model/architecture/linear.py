"""A matrix product that follows the type of its input."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """`y = x W^T` without bias, computed in x's type.

    The weights stay in their own type (float32 masters in training); in a bfloat16 stream each use casts them once.
    This replaces autocast, which would also decide for every other operation.
    """

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__(features_in, features_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features_in) -> (..., features_out), in x's dtype."""
        return functional.linear(x, self.weight.to(x.dtype))
