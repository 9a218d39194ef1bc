"""The decoder against Hugging Face's Llama, and the properties that every causal model has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.config.sizes import num_params
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import (
    from_published_tensors,
    load_model,
    save_model,
    to_hugging_face,
    to_published_tensors,
)
from model.architecture.position import rotary_table, rotate
from model.architecture.short_attention import short_causal_attention
from model.errors import CheckpointError, ConfigError

SHAPES = [
    {"n_layers": 3, "d_model": 64, "n_heads": 4, "n_kv_heads": 2, "d_ff": 96},
    {"n_layers": 2, "d_model": 48, "n_heads": 3, "n_kv_heads": 1, "d_ff": 64, "tie_embeddings": False},
    {"n_layers": 1, "d_model": 32, "n_heads": 1, "n_kv_heads": 1, "d_ff": 40, "rope_theta": 500.0, "norm_eps": 1e-6},
]


def build(seed: int = 0, **shape: object) -> Decoder:
    config = ModelConfig.model_validate({"vocab_size": 300, "context_length": 64, **(shape or SHAPES[0])})
    network = Decoder(config)
    initialize(network, torch.Generator().manual_seed(seed), std=0.2)
    return network.eval()


def some_tokens(rows: int = 3, length: int = 40, seed: int = 0) -> torch.Tensor:
    # ids 0 and 1 stay out: Hugging Face gives its padding row no gradient
    return torch.randint(2, 300, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.feature("ARCH-01")
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_of_a_saved_model_equal_those_of_transformers(shape: dict[str, object], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    ours = build(**shape)
    save_model(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(theirs, LlamaForCausalLM)
    with torch.no_grad():
        expected = theirs(some_tokens()).logits
        torch.testing.assert_close(ours(some_tokens()), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(load_model(tmp_path)(some_tokens()), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_saved_by_transformers_opens_with_equal_logits(shape: dict[str, object], tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    theirs = LlamaForCausalLM(LlamaConfig(**to_hugging_face(build(**shape).config))).eval()
    theirs.save_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(some_tokens()), theirs(some_tokens()).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_those_of_transformers(shape: dict[str, object]) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    ours = build(**shape).train()
    theirs = LlamaForCausalLM(LlamaConfig(**to_hugging_face(ours.config)))
    theirs.load_state_dict(to_published_tensors(ours), strict=False)
    tokens = some_tokens(length=41)
    for network in (ours, lambda x: theirs(x).logits):
        functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    expected = from_published_tensors({n: p.grad for n, p in theirs.named_parameters()}, ours.config)
    for name, parameter in ours.named_parameters():
        largest = expected[name].abs().max()
        torch.testing.assert_close(parameter.grad / largest, expected[name] / largest, atol=1e-4, rtol=0, msg=name)


@settings(max_examples=25, deadline=None)
@given(position=st.integers(1, 39), seed=st.integers(0, 1000), training=st.booleans())
def test_changing_a_token_changes_no_earlier_logit(position: int, seed: int, training: bool) -> None:
    network = build().train(training)
    tokens = some_tokens(rows=1, seed=seed)
    changed = tokens.clone()
    changed[0, position] = (changed[0, position] + 1) % 300
    with torch.no_grad():
        before, after = network(tokens), network(changed)
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


@settings(max_examples=10, deadline=None)
@given(padding=st.integers(1, 20))
def test_left_padding_changes_no_logit(padding: int) -> None:
    network = build()
    tokens = some_tokens(rows=2, length=12)
    padded = torch.cat([torch.ones(2, padding, dtype=torch.long), tokens], dim=1)
    mask = torch.ones_like(padded, dtype=torch.bool)
    mask[:, :padding] = False
    with torch.no_grad():
        torch.testing.assert_close(network(padded, padding_BT=mask)[:, padding:], network(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("heads", "kv_heads", "time"), [(4, 4, 17), (4, 2, 64), (3, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_short_attention_equals_scaled_dot_product_attention(
    heads: int, kv_heads: int, time: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, heads, time, 16, generator=generator, dtype=torch.float32)
    k, v = (torch.randn(2, kv_heads, time, 16, generator=generator) for _ in range(2))
    ours = [x.to(dtype).requires_grad_() for x in (q, k, v)]
    reference = [x.detach().clone().requires_grad_() for x in (q, k, v)]
    expected = functional.scaled_dot_product_attention(*reference, is_causal=True, enable_gqa=True)
    result = short_causal_attention(*ours)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(result.float(), expected, atol=tolerance, rtol=tolerance)
    weights = torch.randn(expected.shape, generator=generator)
    (expected * weights).sum().backward()
    (result * weights.to(dtype)).sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad.float(), theirs.grad, atol=tolerance * 3, rtol=tolerance * 3)


@pytest.mark.parametrize("part", ["attention", "rotation", "norm", "feedforward"])
def test_hand_written_gradients_match_numerical_ones(part: str) -> None:
    from model.architecture.gate import _GatedSiLU
    from model.architecture.norm import rms_norm

    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    cos, sin = (t.double() for t in rotary_table(torch.arange(5), 4, 100.0))
    functions = {
        "attention": (
            short_causal_attention,
            (random(1, 2, 5, 4), random(1, 1, 5, 4), random(1, 1, 5, 4)),
        ),
        "rotation": (lambda x: rotate(x, cos, sin), (random(1, 2, 5, 4),)),
        "norm": (lambda x, weight: rms_norm(x, weight, 1e-5), (random(2, 3, 8), random(8))),
        "feedforward": (_GatedSiLU.apply, (random(3, 8),)),
    }
    function, inputs = functions[part]
    assert torch.autograd.gradcheck(function, inputs)


def test_dropout_acts_in_training_only() -> None:
    network = build(**{**SHAPES[0], "dropout": 0.5})
    tokens = some_tokens(rows=1)
    with torch.no_grad():
        assert torch.equal(network(tokens), network(tokens))
        network.train()
        assert not torch.equal(network(tokens), network(tokens))


@given(layers=st.integers(1, 3), heads=st.sampled_from([1, 2, 4]), tied=st.booleans(), vocab=st.integers(2, 50))
@settings(max_examples=20, deadline=None)
def test_num_params_is_known_before_anything_is_built(layers: int, heads: int, tied: bool, vocab: int) -> None:
    config = ModelConfig(
        vocab_size=vocab, n_layers=layers, d_model=16, n_heads=4, n_kv_heads=heads, d_ff=24, tie_embeddings=tied
    )
    assert num_params(config) == Decoder(config).num_params()


def test_initialization_is_the_same_for_the_same_seed_only() -> None:
    assert torch.equal(build(seed=1).head.weight, build(seed=1).head.weight)
    assert not torch.equal(build(seed=1).head.weight, build(seed=2).head.weight)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"d_model": 100, "n_heads": 3}, "d_model 100 is not a multiple of n_heads 3"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_heads 4 is not a multiple of n_kv_heads 3"),
        ({"d_model": 12, "n_heads": 4}, "must be even for rotary positions"),
    ],
)
def test_an_impossible_shape_is_refused_with_the_numbers(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(wrong)


def test_a_foreign_or_damaged_model_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    network = build()
    save_model(network, tmp_path)
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"llama"', '"bert"'))
    with pytest.raises(ConfigError, match="model_type 'bert', expected 'llama', 'mistral'"):
        load_model(tmp_path)
