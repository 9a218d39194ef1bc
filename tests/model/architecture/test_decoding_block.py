"""A token through a block by one kernel: what the parts do, for every kind of weights, and only where it fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from configurations import VOCABULARY, built, tokens_of
from torch import Tensor

from model.architecture.block import Block
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.decoding_block import FusedBlock, is_plain
from model.compression.quantize import quantize_int8
from model.errors import GenerationError
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-17")
SHAPE = {"vocab_size": VOCABULARY, "n_layers": 2, "d_model": 48, "n_heads": 4, "n_kv_heads": 2, "d_ff": 72,
         "context_length": 32}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "llama": {},
    "multi-query, wide heads": {"n_kv_heads": 1, "head_dim": 40},
    "narrow heads": {"n_heads": 8, "n_kv_heads": 8, "head_dim": 6},
    "no positions": {"position": {"kind": "none"}},
    "some positions": {"position": {"pattern": "PN"}},
    "yarn": {"position": {"scaling": {"kind": "yarn", "factor": 4.0, "original_context": 16}}},
    "mixed with other blocks": {"mixers": "AM"},
    "early exits": {"depth": {"exit_every": 1}},
}


def network(values: dict[str, Any]) -> Decoder:
    return built(ModelConfig.model_validate({**SHAPE, **values, "initialization": {"std": 0.2}}))


def decoded(model: Decoder, tokens: Tensor) -> Tensor:
    """Logits of every token but the first five, one after the other."""
    cache = StaticCache(model.config.n_layers, tokens.shape[1])
    with torch.no_grad():
        model(tokens[:, :5], cache=cache)
        return torch.cat([model(tokens[:, i : i + 1], cache=cache) for i in range(5, tokens.shape[1])], dim=1)


def without_fused_blocks(model: Decoder) -> Decoder:
    for block in model.modules():
        if isinstance(block, Block):
            block.fused = None
    return model


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8", "bfloat16 stream"])
@pytest.mark.parametrize("rows", [1, 3])
def test_it_computes_what_the_parts_do(case: str, kind: str, rows: int) -> None:
    model = network(CASES[case])
    if kind == "int8":
        model = quantize_int8(model)
    elif kind == "bfloat16":
        model = model.to(torch.bfloat16)
    elif kind == "bfloat16 stream":
        model.compute_dtype = torch.bfloat16
    tokens, rounds = tokens_of(rows, 14), kind.startswith("bfloat16")
    fused = decoded(model, tokens)
    parts = decoded(without_fused_blocks(model), tokens)
    difference = (fused - parts).abs()
    assert float(difference.max()) <= (0.25 if rounds or kind == "int8" else 1e-4) * float(parts.abs().max())
    assert float(difference.mean()) <= (0.02 if rounds or kind == "int8" else 1e-5) * float(parts.abs().max())


def test_it_is_used_and_follows_weights_that_change(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = FusedBlock.__call__
    monkeypatch.setattr(FusedBlock, "__call__", lambda self, *a: calls.append(1) or original(self, *a))
    model, tokens = network({}), tokens_of(1, 9)
    before = decoded(model, tokens)
    assert len(calls) == 2 * 4  # layers, tokens after the first five
    with torch.no_grad():
        model.blocks[0].attention.qkv.weight = torch.nn.Parameter(model.blocks[0].attention.qkv.weight * 2)
    after = decoded(model, tokens)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, decoded(without_fused_blocks(model), tokens), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {"norm": {"kind": "layer"}}, {"norm": {"placement": "post"}}, {"norm": {"qk": "rms"}},
        {"attention": {"bias": "qkv"}}, {"attention": {"gate": "head"}}, {"attention": {"softcap": 2.0}},
        {"attention": {"scale": 0.3}}, {"attention": {"pattern": "S", "window": 4}}, {"attention": {"share_layers": 2}},
        {"position": {"kind": "alibi"}}, {"mixers": "C"}, {"feedforward": {"kind": "geglu"}},
        {"feedforward": {"bias": True}}, {"feedforward": {"sparsity_loss": 0.1}},
        {"experts": {"n_experts": 2, "top_k": 1}}, {"initialization": {"kind": "mup"}},
    ],
)  # fmt: skip
def test_what_is_no_block_of_llama_goes_part_by_part(values: dict[str, Any]) -> None:
    assert not is_plain(ModelConfig.model_validate({**SHAPE, **values}), 0)
    assert is_plain(ModelConfig.model_validate(SHAPE), 0)


def test_a_full_cache_is_an_error_as_always() -> None:
    model, cache = network({}), StaticCache(2, 4)
    with torch.no_grad():
        model(tokens_of(1, 4), cache=cache)
        with pytest.raises(GenerationError, match="5 do not fit"):
            model(tokens_of(1, 1), cache=cache)


def test_a_padded_token_and_one_with_gradients_go_part_by_part() -> None:
    model, tokens = network({}), tokens_of(2, 6)
    real = torch.ones(2, 7, dtype=torch.bool)
    real[1, :2] = False
    cache = StaticCache(2, 7)
    with torch.no_grad():
        model(tokens, cache=cache, padding_BT=real[:, :6])
        found = model(tokens[:, :1], cache=cache, padding_BT=real)
        alone = StaticCache(2, 5)
        model(tokens[1:, 2:], cache=alone)
        expected = model(tokens[1:, :1], cache=alone)
    torch.testing.assert_close(found[1:], expected, atol=1e-4, rtol=1e-4)
    cache = StaticCache(2, 7)
    with torch.no_grad():
        model(tokens, cache=cache)
    assert model(tokens[:, :1], cache=cache).requires_grad
