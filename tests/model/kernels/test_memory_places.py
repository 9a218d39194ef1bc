"""What a kernel computes does not depend on where its memory lies: code that the compiler chooses by distance agrees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.kernels.gate_kernels import silu_gate_backward, silu_gate_forward
from model.kernels.launch import NUMBERS, bits
from model.kernels.norm_kernels import rms_backward, rms_forward

pytestmark = pytest.mark.feature("TRAIN-08")
ROWS, WIDTH = 3, 192
ROOM = 1 << 16


class Places:
    """Tensors laid into one buffer, each `gap` bytes behind the one before."""

    def __init__(self, gap: int, seed: int = 0) -> None:
        self.buffer, self.gap, self.used = torch.zeros(ROOM, dtype=torch.uint8), gap, 0
        self.generator = torch.Generator().manual_seed(seed)

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        size = torch.Size(shape).numel() * dtype.itemsize
        found = self.buffer[self.used : self.used + size].view(dtype).view(shape)
        self.used += size + self.gap
        return found

    def random(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.empty(*shape, dtype=dtype).copy_(torch.randn(shape, generator=self.generator))


def norms(gap: int, dtype: torch.dtype) -> list[Tensor]:
    at = Places(gap)
    x, y = at.random(ROWS, WIDTH, dtype=dtype), at.empty(ROWS, WIDTH, dtype=dtype)
    weight, scale = at.random(WIDTH), at.empty(ROWS)
    rms_forward.launch(ROWS, 0, NUMBERS[dtype], WIDTH, bits(1e-5), x, weight, y, scale)
    gy, gx, gweight = at.random(ROWS, WIDTH, dtype=dtype), at.empty(ROWS, WIDTH, dtype=dtype), at.empty(1, WIDTH)
    gweight.zero_()
    rms_backward.launch(ROWS, 0, NUMBERS[dtype], WIDTH, x, weight, scale, gy, gx, gweight)
    return [y, scale, gx, gweight]


def gates(gap: int, dtype: torch.dtype) -> list[Tensor]:
    at = Places(gap)
    x, y = at.random(ROWS, 2 * WIDTH, dtype=dtype), at.empty(ROWS, WIDTH, dtype=dtype)
    silu_gate_forward.launch(ROWS, 0, NUMBERS[dtype], WIDTH, x, y)
    gy, gx = at.random(ROWS, WIDTH, dtype=dtype), at.empty(ROWS, 2 * WIDTH, dtype=dtype)
    silu_gate_backward.launch(ROWS, 0, NUMBERS[dtype], WIDTH, x, gy, gx)
    return [y, gx]


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@pytest.mark.parametrize("kernel", [norms, gates])
def test_the_same_bits_whatever_the_distance_between_buffers(kernel: object, dtype: torch.dtype) -> None:
    assert callable(kernel)
    wanted = [t.clone() for t in kernel(4096, dtype)]
    for gap in (0, 4, 64, 128, 256, 1024):
        for found, one in zip(kernel(gap, dtype), wanted, strict=True):
            assert torch.equal(found, one), f"gap of {gap} bytes"
