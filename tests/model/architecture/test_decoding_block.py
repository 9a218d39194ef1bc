"""A token through a block by one kernel: what the parts do, for every kind of weights, and only where it fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from configurations import VOCABULARY, built, tokens_of
from torch import Tensor, nn
from torch.nn.utils import parametrize

from model.architecture import decoding_block
from model.architecture.block import Block
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.decoding_block import are_plain
from model.architecture.linear import Linear
from model.compression.quantize import quantize_int8
from model.errors import GenerationError
from model.generation.cache import StaticCache
from model.kernels.library import kernels_off

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


def part_by_part(model: Decoder, tokens: Tensor) -> Tensor:
    """The same by torch alone."""
    with kernels_off():
        return decoded(model, tokens)


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
    parts = part_by_part(model, tokens)
    difference = (fused - parts).abs()
    assert float(difference.max()) <= (0.25 if rounds or kind == "int8" else 1e-4) * float(parts.abs().max())
    assert float(difference.mean()) <= (0.02 if rounds or kind == "int8" else 1e-5) * float(parts.abs().max())


def test_it_is_used_and_follows_weights_that_change(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = decoding_block.decoded_block
    monkeypatch.setattr(decoding_block, "decoded_block", lambda *a, **b: calls.append(1) or original(*a, **b))
    model, tokens = network({}), tokens_of(1, 9)
    before = decoded(model, tokens)
    assert len(calls) == 2 * 4  # layers, tokens after the first five
    with torch.no_grad():
        model.blocks[0].attention.qkv.weight = torch.nn.Parameter(model.blocks[0].attention.qkv.weight * 2)
    after = decoded(model, tokens)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, part_by_part(model, tokens), atol=1e-4, rtol=1e-4)


def test_two_threads_compute_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens, before = network({}), tokens_of(3, 14), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = decoded(model, tokens[:, :7])
        monkeypatch.setattr("model.kernels.block.ALONE", 1)
        torch.set_num_threads(2)
        shared = decoded(model, tokens[:, :7])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(shared, alone, atol=1e-5, rtol=1e-5)  # the prompt's products are torch's


class LowRank(nn.Module):
    """An adapter as PEFT writes it: the layer, and a product of two thin matrices beside it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = layer

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        return self.base_layer(x, *rest) + 0.5 * self.base_layer(x, *rest).roll(1, dims=-1)


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


class OfMyOwn(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * super().forward(x)


def mixed(x: Tensor) -> Tensor:
    """Something that no norm takes back; of ids, others."""
    return x + 0.5 * x.roll(1, dims=-1) if x.is_floating_point() else (x + 1) % VOCABULARY


def adapter(model: Decoder, path: str) -> None:
    model.set_submodule(path, LowRank(model.get_submodule(path)))


def hook(model: Decoder, path: str) -> None:
    model.get_submodule(path).register_forward_hook(lambda _part, _inputs, y: mixed(y))


def pre_hook(model: Decoder, path: str) -> None:
    model.get_submodule(path).register_forward_pre_hook(
        lambda _part, inputs: tuple(mixed(x) if torch.is_tensor(x) else x for x in inputs)
    )


def parametrization(model: Decoder, path: str) -> None:
    parametrize.register_parametrization(model.get_submodule(path), "weight", Doubled())


def own_forward(model: Decoder, path: str) -> None:
    part = model.get_submodule(path)
    forward = part.forward
    part.forward = lambda *inputs: mixed(forward(*inputs))


def subclass(model: Decoder, path: str) -> None:
    if isinstance(model.get_submodule(path), Linear):
        model.get_submodule(path).__class__ = OfMyOwn


PARTS = [
    "embedding", "norm", "head", "blocks.1", "blocks.1.attention_norm", "blocks.1.feedforward_norm",
    "blocks.1.attention", "blocks.1.attention.qkv", "blocks.1.attention.qk_norm", "blocks.1.attention.out",
    "blocks.1.feedforward", "blocks.1.feedforward.gate_up", "blocks.1.feedforward.down",
]  # fmt: skip


@pytest.mark.parametrize("change", [adapter, hook, pre_hook, parametrization, own_forward, subclass])
@pytest.mark.parametrize("path", PARTS)
def test_nothing_that_looks_into_a_part_is_passed_by(path: str, change: Any) -> None:
    model, tokens = network({}), tokens_of(1, 9)
    plain = decoded(model, tokens)  # what comes later is seen as well
    if change is parametrization and not hasattr(model.get_submodule(path), "weight"):
        pytest.skip("a part without weights of its own")
    if change is adapter and path in {"blocks.1", "blocks.1.attention"}:
        pytest.skip("an adapter has the attributes of a product, not of attention")
    change(model, path)
    found = decoded(model, tokens)
    with torch.enable_grad():  # another way through all parts, without cache or kernels for a token
        whole = model(tokens)[:, 5:].detach()
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)
    if change is not subclass or isinstance(model.get_submodule(path), Linear):
        assert not torch.allclose(found, plain, atol=1e-3)


def test_a_hook_on_all_modules_is_called() -> None:
    model, tokens, seen = network({}), tokens_of(1, 6), []
    handle = nn.modules.module.register_module_forward_hook(lambda part, _inputs, _y: seen.append(part))
    try:
        decoded(model, tokens)
    finally:
        handle.remove()
    assert seen.count(model.blocks[0].feedforward.down) == 2


def test_dropout_that_somebody_asked_for_happens() -> None:
    model = network({"dropout": 0.5})
    tokens = tokens_of(1, 9)
    torch.testing.assert_close(decoded(model, tokens), part_by_part(model, tokens), atol=1e-4, rtol=1e-4)
    model.train()
    assert not torch.equal(decoded(model, tokens), decoded(model, tokens))


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
    block = Decoder(ModelConfig.model_validate({**SHAPE, **values})).eval().blocks[0]
    assert type(block) is not Block or not are_plain(block._modules)
    assert are_plain(network({}).blocks[0]._modules)


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
