"""Numbers kept below a cap by tanh: scores of attention and logits (Gemma 2, arXiv:2408.00118, section 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_capped(x: Tensor, cap: float | Tensor) -> Tensor:
    """`cap * tanh(x / cap)`, any shape."""
    return cap * torch.tanh(x / cap)
