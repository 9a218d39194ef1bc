"""Int8 rows and layers against plain float arithmetic, with the kernel for few rows and the one for many."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.compression.int8 import (
    Int8Embedding,
    Int8Linear,
    quantize_rows,
    round_up_to_bfloat16,
)
from model.errors import CheckpointError

pytestmark = pytest.mark.feature("COMP-01")


def random_matrix(seed: int, rows: int, columns: int, size: float = 1.0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * size


@given(
    rows=st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=3, max_size=3), min_size=1, max_size=8
    )
)
def test_no_weight_is_off_by_more_than_half_a_level(rows):
    weight = torch.tensor(rows, dtype=torch.float32)

    int8, scale = quantize_rows(weight)

    assert int8.dtype == torch.int8
    assert scale.dtype == torch.float32
    error = (int8.double() * scale.double()[:, None] - weight.double()).abs()
    assert (error <= scale.double()[:, None] * 0.5001 + 1e-38).all()


@given(seed=st.integers(0, 1000), size=st.floats(1e-6, 1e6))
def test_a_scale_wastes_less_than_one_percent_of_the_levels(seed, size):
    weight = random_matrix(seed, 4, 64, size)

    int8, scale = quantize_rows(weight)

    assert (int8.abs().amax(dim=1) >= 126).all()
    assert torch.equal(scale, scale.to(torch.bfloat16).float())


@given(value=st.floats(0, 2.0**99, width=32, allow_subnormal=False))
def test_rounding_up_to_bfloat16_is_the_least_that_is_not_below(value):
    up = round_up_to_bfloat16(torch.tensor([value]))

    assert up.item() >= torch.tensor(value).item()
    assert up.item() <= value * (1 + 2**-7) + 1e-37
    assert torch.equal(up, up.to(torch.bfloat16).float())


def test_a_row_of_zeros_stays_zero():
    int8, scale = quantize_rows(torch.zeros(2, 16))

    assert not int8.any()
    assert torch.isfinite(scale).all()
    assert (scale > 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    with pytest.raises(CheckpointError, match="a weight is NaN or infinite"):
        quantize_rows(torch.tensor([[1.0, bad]]))


@pytest.mark.parametrize("features_in", [16, 96, 250, 7])
@pytest.mark.parametrize("shape", [(1,), (2, 3), (8,), (9,), (4, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_equals_the_product_with_the_widened_weights(features_in, shape, dtype):
    layer = Int8Linear(*quantize_rows(random_matrix(0, 33, features_in)))
    x = random_matrix(1, math.prod(shape), features_in).reshape(*shape, features_in).to(dtype)
    expected = x.double() @ (layer.weight.double() * layer.scale.double()[:, None]).T

    with torch.no_grad():
        y = layer(x)

    assert y.dtype == dtype
    assert y.shape == (*shape, 33)
    tolerance = 0.02 if dtype == torch.bfloat16 else 1e-5
    assert ((y.double() - expected).abs().max() / expected.abs().max()).item() < tolerance


@pytest.mark.parametrize("offset", [0, 1, 8, 16, 40])
def test_weights_at_any_address_give_the_same_result(offset):
    """Tensors of a file lie at any address."""
    int8, scale = quantize_rows(random_matrix(0, 48, 64))
    memory = torch.empty(int8.numel() + 128, dtype=torch.int8)
    start = -memory.data_ptr() % 64 + offset
    moved = memory[start : start + int8.numel()].view(48, 64)
    moved.copy_(int8)
    x = random_matrix(1, 5, 64)

    with torch.no_grad():
        torch.testing.assert_close(Int8Linear(moved, scale)(x), Int8Linear(int8, scale)(x))


def test_rows_of_a_larger_tensor_are_read_right():
    layer = Int8Linear(*quantize_rows(random_matrix(0, 48, 64)))
    for dtype in (torch.float32, torch.bfloat16):
        x = random_matrix(1, 12, 66).to(dtype)[::3, 2:]  # neither contiguous nor aligned
        torch.testing.assert_close(layer(x), layer(x.contiguous().clone()))


def test_a_few_rows_and_many_agree():
    layer = Int8Linear(*quantize_rows(random_matrix(0, 512, 256)))
    x = random_matrix(1, 8, 256)

    with torch.no_grad():
        few, many = layer(x), layer(torch.cat([x, x]))[:8]

    assert ((few - many).norm() / many.norm()).item() < 1e-5


def test_embedding_gives_the_widened_rows():
    int8, scale = quantize_rows(random_matrix(0, 20, 8))
    tokens = torch.tensor([[3, 3, 19], [0, 1, 2]])

    torch.testing.assert_close(Int8Embedding(int8, scale)(tokens), (int8.float() * scale[:, None])[tokens])
