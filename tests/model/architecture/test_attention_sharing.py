"""Heads and layers that share keys and values, against torch's attention and a network written out token by token."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import tokens_of
from torch.nn import functional

from model.architecture.attention import Attention
from model.architecture.config import ModelConfig
from model.architecture.config.sizes import num_params
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import load_model, published_name, save_model
from model.architecture.masks import AttentionContext
from model.architecture.position import rotary_table
from model.generation.cache import StaticCache
from model.training.objectives import training_loss

pytestmark = pytest.mark.feature("ARCH-05")
SHAPE = {
    "vocab_size": 40, "n_layers": 4, "d_model": 16, "n_heads": 4, "n_kv_heads": 2, "d_ff": 24, "context_length": 32,
}  # fmt: skip


def config_of(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SHAPE, **values})


def network(config: ModelConfig) -> Decoder:
    model = Decoder(config)
    initialize(model, torch.Generator().manual_seed(0), std=0.4)
    return model.eval()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_kv_heads", [4, 2, 1], ids=["multi-head", "grouped", "multi-query"])
def test_heads_that_share_keys_equal_torchs_attention_on_repeated_heads(n_kv_heads: int, training: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    part = Attention(config_of(n_kv_heads=n_kv_heads, attention={"bias": "all"}), 0).double().train(training)
    for parameter in part.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    x = torch.randn(3, 7, 16, generator=generator, dtype=torch.float64).requires_grad_()
    cos, sin = (table.double()[None, None] for table in rotary_table(torch.arange(7), 4, 10000.0))
    found = part(x, AttentionContext(cos, sin, None, None, None, torch.arange(7)[None]))

    rows = (part.qkv.weight @ x[..., None])[..., 0] + part.qkv.bias
    q, k, v = rows.split([16, 4 * n_kv_heads, 4 * n_kv_heads], dim=-1)
    q, k, v = (part_.unflatten(-1, (-1, 4)).transpose(1, 2) for part_ in (q, k, v))
    angle = torch.arange(7)[:, None] * 10000.0 ** (-torch.arange(2) / 2)
    turn = torch.polar(torch.ones(7, 2, dtype=torch.float64), angle.double())
    q, k = (torch.view_as_real(torch.complex(y[..., :2], y[..., 2:]) * turn).mT.flatten(-2) for y in (q, k))
    k, v = (torch.stack([y] * (4 // n_kv_heads), dim=2).flatten(1, 2) for y in (k, v))
    y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    expected = y.transpose(1, 2).flatten(2) @ part.out.weight.T + part.out.bias
    # angles are made in float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = [x, *part.parameters()]
    wanted = torch.autograd.grad(expected.square().sum(), weights)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), weights), wanted, atol=1e-4, rtol=1e-4)


def written_out(model: Decoder, tokens: list[int]) -> torch.Tensor:
    """Logits of one text, one query, head and key at a time; layers 1 and 3 look at the keys of 0 and 2.

    Layers 0 and 2 see three tokens, layers 1 and 3 all; no positions.
    """
    stream = [model.embedding.weight[token] for token in tokens]
    keys: list[list[torch.Tensor]] = []
    for layer, block in enumerate(model.blocks):
        normed = [x / x.square().mean().add(1e-5).sqrt() * block.attention_norm.weight for x in stream]
        rows = [block.attention.qkv.weight @ x for x in normed]
        if layer % 2 == 0:
            keys = [[row[16 + 4 * i : 20 + 4 * i] for i in range(4)] for row in rows]  # 2 of keys, then 2 of values
        for at, row in enumerate(rows):
            mixed = []
            for head in range(4):
                query, group = row[4 * head : 4 * head + 4], head // 2
                first = max(0, at - 2) if layer % 2 == 0 else 0
                scores = [float(query @ keys[other][group]) / math.sqrt(4) for other in range(first, at + 1)]
                sizes = [math.exp(score) for score in scores]
                values = [keys[other][2 + group] for other in range(first, at + 1)]
                mixed.append(sum(size * v for size, v in zip(sizes, values, strict=True)) / sum(sizes))
            stream[at] = stream[at] + block.attention.out.weight @ torch.cat(mixed)
            inside = stream[at] / stream[at].square().mean().add(1e-5).sqrt() * block.feedforward_norm.weight
            gate, up = (block.feedforward.gate_up.weight @ inside).chunk(2)
            stream[at] = stream[at] + block.feedforward.down.weight @ (functional.silu(gate) * up)
    last = [x / x.square().mean().add(1e-5).sqrt() * model.norm.weight for x in stream]
    return torch.stack([model.head.weight @ x for x in last])


@torch.no_grad()
def test_layers_that_share_keys_equal_the_network_written_out() -> None:
    attention = {"share_layers": 2, "pattern": "SL", "window": 3}
    model = network(config_of(attention=attention, position={"kind": "none"}))
    assert [tuple(block.attention.qkv.weight.shape) for block in model.blocks] == [(32, 16), (16, 16)] * 2
    tokens = tokens_of(2, 9)
    expected = torch.stack([written_out(model, row) for row in tokens.tolist()])
    torch.testing.assert_close(model(tokens), expected, atol=1e-4, rtol=1e-4)
    for borders in ([0, 9], [0, 4, 9], [0, 1, 2, 9]):
        cache = StaticCache(len(model.config.cached_layers), 9)
        parts = [model(tokens[:, a:b], cache=cache) for a, b in pairwise(borders)]
        torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-4, rtol=1e-4)
    assert len(model.config.cached_layers) == 2


@pytest.mark.parametrize(
    ("values", "sources"),
    [
        ({"attention": {"share_layers": 3}}, [0, 0, 0, 3]),
        ({"attention": {"share_layers": 2}, "mixers": "MAAA"}, [1, 1, 3]),
        ({"attention": {"share_layers": 2}, "mixers": "AMAF", "n_layers": 8}, [0, 0, 4, 4]),
    ],
)
def test_only_attention_layers_count_and_the_last_group_may_be_smaller(
    values: dict[str, Any], sources: list[int]
) -> None:
    config = config_of(**values, norm={"qk": "rms"})
    assert [config.keys_of(layer) for layer in config.attention_layers] == sources
    assert num_params(config) == Decoder(config).num_params()
    model = network(config)
    with torch.no_grad():
        tokens, cache = tokens_of(2, 11), StaticCache(len(config.cached_layers), 11)
        parts = [model(tokens[:, a:b], cache=cache) for a, b in pairwise([0, 5, 6, 11])]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), atol=1e-4, rtol=1e-4)


def test_keys_learn_from_every_layer_that_looks_at_them() -> None:
    model = network(config_of(attention={"share_layers": 4})).train()
    for block in model.blocks[:3]:  # only the last layer's attention reaches the loss
        block.attention.out.weight.data.zero_()
        block.attention.out.weight.requires_grad_(False)
    tokens = tokens_of(2, 12)
    training_loss(model, tokens[:, :-1], tokens[:, 1:]).backward()
    gradient = model.blocks[0].attention.qkv.weight.grad
    assert not gradient[:16].any()
    assert gradient[16:].abs().amin(dim=1).min() > 0


@torch.no_grad()
def test_tokens_that_left_early_keep_the_keys_that_later_layers_share() -> None:
    model = network(config_of(attention={"share_layers": 2}, depth={"exit_every": 1}))
    tokens, used = tokens_of(2, 12), set()
    for threshold in (0.0, 0.4, 0.5, 0.6):
        model.depth.threshold = threshold
        whole = model(tokens)
        used |= set(model.depth.layers_used.flatten().tolist())
        cache = StaticCache(len(model.config.cached_layers), 12)
        parts = [model(tokens[:, at : at + 1], cache=cache) for at in range(12)]
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)
    assert len(used) > 2


def test_a_model_that_shares_keys_is_saved_in_our_own_layout(tmp_path: Path) -> None:
    model = network(config_of(attention={"share_layers": 2}))
    assert published_name(model.config) is None
    save_model(model, tmp_path)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(tokens_of(2, 9)), model(tokens_of(2, 9)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attention": {"share_layers": 5}}, "share_layers 5 is more than the 4 attention layers of mixers 'A'"),
        ({"attention": {"share_layers": 2}, "mixers": "M"}, "share_layers 2 is more than the 0 attention layers"),
        ({"attention": {"share_layers": 2}, "depth": {"pattern": "FR"}}, "depth.pattern 'FR' do not go together"),
        (
            {"attention": {"share_layers": 2}, "position": {"pattern": "PN"}},
            "layer 1 has positions none, and layer 0, whose keys it uses, rope; give both one letter",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(**values)
