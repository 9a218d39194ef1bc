"""Sampling functions against transformers' warpers, formulas written out, and counted draws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from model.generation.config import GenerationConfig
from model.generation.sampling import choose, draw, greedy, min_p, restrict, temperature, top_a, top_k, top_p, typical
from model.randomness import python_generator

OFF = {"temperature": 1.0, "top_p": 1.0}


@st.composite
def logits(draw: st.DrawFn) -> Tensor:
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 60)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return torch.randn(shape, generator=generator) * draw(st.sampled_from([0.1, 1.0, 5.0]))


def kept(values: Tensor) -> Tensor:
    return values > -torch.inf


def same(ours: Tensor, theirs: Tensor) -> bool:
    return torch.equal(kept(ours), kept(theirs)) and torch.equal(ours[kept(ours)], theirs[kept(theirs)])


@pytest.mark.feature("GEN-02")
@given(x=logits(), value=st.floats(0.1, 10))
def test_temperature_equals_transformers(x: Tensor, value: float) -> None:
    assert same(temperature(x, value), TemperatureLogitsWarper(value)(None, x))


@pytest.mark.feature("GEN-02")
@given(x=logits(), k=st.integers(1, 80))
def test_top_k_equals_transformers(x: Tensor, k: int) -> None:
    assert same(top_k(x, k), TopKLogitsWarper(k)(None, x))


@pytest.mark.feature("GEN-02")
@given(x=logits(), p=st.floats(0.01, 0.99))
def test_top_p_equals_transformers(x: Tensor, p: float) -> None:
    assert same(top_p(x, p), TopPLogitsWarper(p)(None, x))


@pytest.mark.feature("GEN-02")
def test_top_p_keeps_no_token_beyond_the_one_that_reaches_the_mass() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0, -torch.inf]]) * math.log(2)  # probabilities 1/2, 1/4, 1/4, 0
    assert torch.isfinite(top_p(x, float(x.softmax(-1)[0, 0]))).tolist() == [[True, False, False, False]]


@pytest.mark.feature("GEN-02")
@given(x=logits(), p=st.floats(0.001, 0.999))
def test_min_p_equals_transformers(x: Tensor, p: float) -> None:
    assert same(min_p(x, p), MinPLogitsWarper(p)(None, x))


@pytest.mark.feature("GEN-02")
@given(x=logits(), p=st.floats(0.01, 0.99))
def test_typical_equals_transformers(x: Tensor, p: float) -> None:
    assert same(typical(x, p), TypicalLogitsWarper(p)(None, x))


@pytest.mark.feature("GEN-02")
@given(x=logits(), a=st.floats(0.001, 1))
def test_top_a_equals_its_formula(x: Tensor, a: float) -> None:
    for row, filtered in zip(x.tolist(), kept(top_a(x, a)).tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        probabilities = [math.exp(value) / total for value in row]
        threshold = a * max(probabilities) ** 2
        for probability, is_kept in zip(probabilities, filtered, strict=True):
            if abs(probability - threshold) > 1e-6 * threshold:
                assert is_kept == (probability >= threshold)


@pytest.mark.feature("GEN-02")
@given(
    x=logits(),
    settings=st.fixed_dictionaries(
        {
            "temperature": st.floats(0.2, 3),
            "top_k": st.integers(0, 10),
            "top_p": st.floats(0.1, 1),
            "top_a": st.floats(0, 1),
            "min_p": st.floats(0, 1),
            "typical_p": st.floats(0.1, 1),
        }
    ),
)
def test_filters_together_leave_a_token_and_rows_do_not_meet(x: Tensor, settings: dict[str, float]) -> None:
    config = GenerationConfig.checked(settings)
    before = x.clone()
    together = restrict(x, config)
    assert kept(together).any(dim=-1).all()
    assert torch.equal(x, before)
    for row in range(len(x)):
        assert same(together[row : row + 1], restrict(x[row : row + 1], config))


def test_filters_that_are_off_change_nothing() -> None:
    x = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(restrict(x, GenerationConfig.checked(OFF)), x)


@given(x=logits(), uniforms=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4))
def test_draw_takes_the_token_where_the_cumulative_sum_passes_the_number(x: Tensor, uniforms: list[float]) -> None:
    drawn = draw(x, uniforms[: len(x)]).tolist()
    for row, token, uniform in zip(x.double().softmax(-1).tolist(), drawn, uniforms, strict=False):
        below, above = math.fsum(row[:token]), math.fsum(row[: token + 1])
        assert below - 1e-9 <= uniform <= above + 1e-9


@given(x=logits(), uniform=st.sampled_from([0.0, 0.5, 1 - 2**-53]))
def test_filtered_tokens_are_never_drawn(x: Tensor, uniform: float) -> None:
    filtered = top_k(x, 3)
    tokens = draw(filtered, [uniform] * len(x))
    assert kept(filtered).gather(-1, tokens[:, None]).all()


@pytest.mark.feature("GEN-02")
def test_draws_follow_the_distribution() -> None:
    x = torch.randn(1, 10, generator=torch.Generator().manual_seed(1))
    n, generator = 50_000, python_generator(5)
    tokens = choose(x.expand(n, -1), GenerationConfig.checked(OFF), [generator.random() for _ in range(n)])
    expected = n * x.softmax(-1)[0].double()
    chi_square = ((torch.bincount(tokens, minlength=10) - expected) ** 2 / expected).sum().item()
    assert chi_square < 27.88  # 99.9 % point for 9 degrees of freedom


@given(x=logits())
def test_temperature_zero_takes_the_likeliest(x: Tensor) -> None:
    config = GenerationConfig(temperature=0, top_k=3)
    expected = [max(range(len(row)), key=row.__getitem__) for row in x.tolist()]
    assert choose(x, config, [0.99] * len(x)).tolist() == greedy(x).tolist() == expected
