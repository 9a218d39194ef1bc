"""Spans against their definitions word by word, attention against torch's, positions against `transformers`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.architecture.attend import attend
from model.architecture.config import ModelConfig
from model.architecture.config.options import NtkScaling
from model.architecture.masks import AttentionContext, Sight, alibi_slopes, look_of
from model.architecture.position import rotary_table
from model.architecture.tiled_attention import tiled_attention


def context_of(length: int) -> AttentionContext:
    empty = torch.empty(0)
    return AttentionContext(empty, empty, None, None, None, torch.arange(length)[None])


def sees(span: str, query: int, key: int) -> bool:
    """Window 4, dilation 3, 2 sinks, blocks of 5 with the last 2 seen."""
    return (
        key <= query
        and {
            "L": True,
            "S": query - key < 4,
            "D": query - key in {0, 3, 6, 9},
            "K": query - key < 4 or key in {0, 1},
            "B": query // 5 == key // 5 or key % 5 in {3, 4},
        }[span]
    )


@pytest.mark.feature("ARCH-06")
@pytest.mark.parametrize("span", "LSDKB")
def test_a_span_sees_what_its_definition_says(span: str) -> None:
    attention: dict[str, Any] = {"pattern": span, "dilation": 3, "sinks": 2, "block": 5, "block_summary": 2}
    attention["window"] = 4 if span in "SDK" else None
    config = ModelConfig.model_validate({"attention": attention, "position": {"kind": "alibi"}})
    bias = look_of(config, 0)(context_of(23), 23, torch.float32)
    assert bias is not None
    found = (bias[0, 0] > float("-inf")).tolist()
    assert found == [[sees(span, query, key) for key in range(23)] for query in range(23)]


@pytest.mark.feature("ARCH-03")
@pytest.mark.parametrize("heads", [1, 2, 4, 8, 12, 20])
def test_alibi_equals_that_of_bloom(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 9), heads, torch.float32).view(heads, 9)
    torch.testing.assert_close(alibi_slopes(heads)[:, None] * torch.arange(9), theirs)
    config = ModelConfig.model_validate(
        {"d_model": heads * 8, "n_heads": heads, "n_kv_heads": 1, "position": {"kind": "alibi"}}
    )
    bias = look_of(config, 0)(context_of(9), 9, torch.float32)
    assert bias is not None
    scores = torch.randn(heads, 9, 9, generator=torch.Generator().manual_seed(0))
    causal = torch.full((9, 9), float("-inf")).triu(1)
    # Bloom adds slope * key, which differs from slope * (key - query) by a constant of each row
    torch.testing.assert_close((scores + bias[0]).softmax(-1), (scores + theirs[:, None] + causal).softmax(-1))


@pytest.mark.feature("ARCH-03")
def test_ntk_scaling_equals_the_dynamic_one_of_transformers_at_that_length() -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": "dynamic", "factor": 1.0, "rope_theta": 500.0}
    config = LlamaConfig(hidden_size=64, num_attention_heads=2, max_position_embeddings=64, rope_parameters=parameters)
    frequencies, factor = ROPE_INIT_FUNCTIONS["dynamic"](config, "cpu", seq_len=256)
    cos, sin = rotary_table(torch.arange(300), 32, 500.0, NtkScaling(factor=4.0))
    angles = torch.arange(300)[:, None] * frequencies
    torch.testing.assert_close(cos, torch.cat([angles, angles], -1).cos() * factor, atol=2e-4, rtol=0)
    torch.testing.assert_close(sin, torch.cat([-angles, angles], -1).sin() * factor, atol=2e-4, rtol=0)


@pytest.mark.feature("ARCH-07")
@settings(max_examples=60, deadline=None)
@given(
    time=st.integers(1, 40),
    earlier=st.integers(0, 20),
    heads=st.sampled_from([(2, 2), (4, 2), (3, 1)]),
    tile=st.integers(1, 64),
    kind=st.sampled_from(["causal", "bool", "float"]),
)
def test_tiled_attention_equals_torch_with_gradients(
    time: int, earlier: int, heads: tuple[int, int], tile: int, kind: str
) -> None:
    generator = torch.Generator().manual_seed(time)
    q = torch.randn(2, heads[0], time, 8, generator=generator, dtype=torch.float64).requires_grad_()
    k, v = (
        torch.randn(2, heads[1], earlier + time, 8, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    causal = torch.ones(time, earlier + time, dtype=torch.bool).tril(earlier)
    seen = (torch.rand(2, 1, time, earlier + time, generator=generator) < 0.5) | torch.eye(
        time, earlier + time, dtype=torch.bool
    ).roll(earlier, 1)
    allowed = causal if kind == "causal" else causal & seen
    noise = torch.randn(1, heads[0], time, earlier + time, generator=generator, dtype=torch.float64)
    float_bias = (noise if kind == "float" else torch.zeros_like(noise)).masked_fill(~allowed, float("-inf"))
    bias = {"causal": None, "bool": allowed, "float": float_bias}[kind]
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=float_bias, enable_gqa=True)
    found = tiled_attention(q, k, v, bias, tile=tile)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    wanted = torch.autograd.grad((expected * weights).sum(), [q, k, v])
    torch.testing.assert_close(torch.autograd.grad((found * weights).sum(), [q, k, v]), wanted)


@pytest.mark.feature("ARCH-07")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("length", [5, 512, 600])
@pytest.mark.parametrize("masked", ["not", "by a mask", "by its span"])
def test_every_way_that_attend_picks_equals_the_tiled_reference(training: bool, length: int, masked: str) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, heads, length, 8, generator=generator) for heads in (4, 2, 2))
    allowed = torch.ones(length, length, dtype=torch.bool).tril().triu(-3)[None, None]
    attention = {"pattern": "S", "window": 4} if masked == "by its span" else {}
    context = replace(context_of(length), mask=allowed if masked == "by a mask" else None)
    sight = Sight(look_of(ModelConfig.model_validate({"attention": attention}), 0), context, length)
    found = attend(q, k, v, sight, training=training, dropout=0.0, softcap=None)
    bias = None if masked == "not" else torch.zeros(allowed.shape).masked_fill(~allowed, float("-inf"))
    torch.testing.assert_close(found, tiled_attention(q, k, v, bias, tile=100), atol=1e-5, rtol=1e-5)


@pytest.mark.feature("ARCH-07")
def test_soft_capped_gradients_match_numerical_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(1, heads, 5, 4, generator=generator, dtype=torch.float64).requires_grad_() for heads in (2, 1, 1)
    )
    assert torch.autograd.gradcheck(lambda *x: tiled_attention(*x, None, softcap=1.5, tile=2), (q, k, v))


@pytest.mark.feature("ARCH-08")
@pytest.mark.parametrize("gate", ["head", "feature"])
def test_a_gate_multiplies_each_head_or_feature(gate: str) -> None:
    from model.architecture.attention import GATES

    config = ModelConfig.model_validate({"d_model": 12, "n_heads": 3, "n_kv_heads": 3, "attention": {"gate": gate}})
    part = GATES[gate](config)
    y, x = torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    expected = y.clone()
    for feature in range(12):
        row = feature // 4 if gate == "head" else feature
        expected[..., feature] *= torch.sigmoid(x @ part.weights.weight[row])
    torch.testing.assert_close(part(y, x), expected)
