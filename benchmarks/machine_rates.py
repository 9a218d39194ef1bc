"""What this machine can do at most, measured beside what is judged by it."""

from __future__ import annotations

from collections.abc import Callable

import torch

SIDE = 2048
PRODUCT_FLOPS = 2 * SIDE**3
READ_BYTES = 512 * 1024 * 1024


def square_product(dtype: torch.dtype) -> Callable[[], object]:
    """A job of `PRODUCT_FLOPS` operations: a product of two matrices that is large enough for the full rate."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(SIDE, SIDE, generator=generator).to(dtype) for _ in range(2))
    out = torch.empty(SIDE, SIDE, dtype=dtype)
    return lambda: torch.mm(a, b, out=out)


def long_read() -> Callable[[], object]:
    """A job that reads `READ_BYTES`, more than any cache holds, as fast as one pass can."""
    numbers = torch.ones(READ_BYTES // 4)
    return lambda: numbers.sum().item()
