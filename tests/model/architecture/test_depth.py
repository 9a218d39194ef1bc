"""Early exits and mixture of depths: what leaves, what it costs, what it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from configurations import tokens_of
from small_tokenizers import small_tokenizer

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.depth import EarlyExit, RoutedBlock, depth_usage
from model.architecture.interop import load_model, published_name, save_model
from model.errors import GenerationError
from model.generation.cache import StaticCache
from model.generation.config import GenerationConfig
from model.generation.generate import generate
from model.training.config import PretrainConfig
from model.training.objectives import next_token_loss, training_loss
from model.training.optimizers import build_optimizers
from model.training.step import train_step

pytestmark = pytest.mark.feature("ARCH-15")
EXITS = {"exit_every": 1}
ROUTED = {"pattern": "FR", "capacity": 0.25}


def network(depth: dict[str, Any], **shape: Any) -> Decoder:
    values = {"n_layers": 4, "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 32}
    model = Decoder(ModelConfig.model_validate({"vocab_size": 40} | values | shape | {"depth": depth}))
    initialize(model, torch.Generator().manual_seed(0), std=0.3)
    return model.eval()


@torch.no_grad()
def test_with_threshold_1_every_token_goes_through_all_layers_and_the_logits_are_those_of_the_plain_model() -> None:
    model, plain = network(EXITS), network({})
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "confidence" not in k})
    assert torch.equal(model(tokens_of(2, 20)), plain(tokens_of(2, 20)))
    assert isinstance(model.depth, EarlyExit)
    assert (model.depth.layers_used == 4).all()
    assert depth_usage(model) == {"layers_used": 4.0}


@torch.no_grad()
def test_with_threshold_0_every_token_leaves_at_the_first_exit() -> None:
    model, first = network(EXITS | {"exit_every": 2}), network({}, n_layers=2)
    model.depth.threshold = 0.0
    first.load_state_dict({k: v for k, v in model.state_dict().items() if k in first.state_dict()})
    assert torch.equal(model(tokens_of(2, 20)), first(tokens_of(2, 20)))
    assert (model.depth.layers_used == 2).all()


@torch.no_grad()
def test_a_token_that_left_keeps_its_keys_for_those_after_it_and_decoding_equals_reading() -> None:
    model = network(EXITS)
    tokens = tokens_of(1, 20)
    for threshold in (0.0, 0.3, 0.5, 0.7):
        model.depth.threshold = threshold
        whole, used = model(tokens), model.depth.layers_used
        cache, parts, parts_used = StaticCache(4, 20), [], []
        for place in range(20):
            parts.append(model(tokens[:, place : place + 1], cache=cache))
            parts_used.append(model.depth.layers_used)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)
        assert torch.equal(torch.cat(parts_used, dim=1), used)
    assert set(used.flatten().tolist()) & {1, 2, 3}


def test_exits_cost_their_cross_entropies_and_the_confidence_learns_who_agrees() -> None:
    model = network(EXITS | {"exit_every": 2, "exit_loss": 0.25}).train()
    tokens = tokens_of(2, 20)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    loss = training_loss(model, inputs, targets)
    assert model.depth.take_exits() == []  # the graph of a step is not kept
    hidden = model.hidden(inputs)
    (state,) = model.depth.take_exits()
    agrees = (model.head(state).argmax(-1) == model.head(hidden).argmax(-1)).float()
    confidence = torch.sigmoid(model.depth.confidence(state)[..., 0])
    cross = -(agrees * confidence.log() + (1 - agrees) * (1 - confidence).log()).mean()
    head = model.head.weight
    expected = next_token_loss(hidden, head, targets) + 0.25 * (next_token_loss(state, head, targets) + cross)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("depth", [EXITS, ROUTED])
def test_it_learns_a_repeated_batch(depth: dict[str, Any]) -> None:
    model = network(depth).train()
    initialize(model, torch.Generator().manual_seed(0))
    optimizers = build_optimizers(model, PretrainConfig())
    tokens = tokens_of(4, 21)
    losses = [
        train_step(model, optimizers, tokens[:, :-1], tokens[:, 1:], step=s, learning_rate=0.01, clip_norm=1.0).loss
        for s in range(60)
    ]
    assert losses[-1] < 0.5 * losses[0]


def test_a_routed_layer_computes_its_share_of_tokens_and_no_more() -> None:
    model = network(ROUTED).train()
    routed = [m for m in model.modules() if isinstance(m, RoutedBlock)]
    assert len(routed) == 2
    for seed in range(40):
        model.hidden(tokens_of(8, 32, seed))
    sizes: list[int] = []
    for block in routed:
        block.block.register_forward_hook(lambda module, args, result: sizes.append(args[0].shape[1]))
    shares = []
    with torch.no_grad():
        for seed in range(40, 50):
            model.eval().hidden(tokens_of(8, 32, seed))
            shares.append(sum(depth_usage(model).values()) / 2)
    assert sum(shares) / len(shares) == pytest.approx(0.25, abs=0.08)
    assert sum(sizes) / len(sizes) < 0.7 * 32  # as many as the sequence with most


@torch.no_grad()
def test_what_no_token_chooses_changes_nothing() -> None:
    model, without = network(ROUTED | {"pattern": "FFRR"}), network({}, n_layers=2)
    for block in model.blocks[2:]:
        block.threshold.fill_(1e9)
    without.load_state_dict({k: v for k, v in model.state_dict().items() if k in without.state_dict()})
    torch.testing.assert_close(model(tokens_of(2, 20)), without(tokens_of(2, 20)), atol=1e-6, rtol=1e-5)
    cache = StaticCache(4, 20)
    parts = [model(part, cache=cache) for part in tokens_of(2, 20).split(7, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), without(tokens_of(2, 20)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("depth", [EXITS, ROUTED, EXITS | ROUTED])
def test_it_is_saved_in_our_own_layout_and_comes_back(depth: dict[str, Any], tmp_path: Any) -> None:
    model = network(depth)
    assert published_name(model.config) is None
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    with torch.no_grad():
        assert torch.equal(model(tokens_of(2, 20)), again(tokens_of(2, 20)))


def test_generation_takes_a_confidence_and_reports_the_layers() -> None:
    tokenizer = small_tokenizer()
    model = network(EXITS, vocab_size=tokenizer.vocab_size)
    settings = {"max_new_tokens": 8, "temperature": 0.0}
    (full,) = generate(model, tokenizer, ["The boat"], GenerationConfig(**settings))
    (early,) = generate(model, tokenizer, ["The boat"], GenerationConfig(**settings, exit_confidence=0.0))
    assert full.layers_used == [4] * len(full.tokens)
    assert early.layers_used == [1] * len(early.tokens)
    assert model.depth.threshold == 1.0
    plain = network({}, vocab_size=tokenizer.vocab_size)
    assert generate(plain, tokenizer, [""], GenerationConfig(**settings))[0].layers_used == []
    with pytest.raises(GenerationError, match=r"exit_confidence 0\.5: the model has no early exits"):
        generate(plain, tokenizer, [""], GenerationConfig(exit_confidence=0.5))


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"depth": {"exit_every": 4}}, "depth.exit_every 4 leaves no exit before the last of n_layers 4; lower it"),
        ({"depth": {"pattern": "FRR"}}, "depth.pattern 'FRR' has 3 letters, which does not divide n_layers 4"),
        ({"depth": {"pattern": "X"}}, "'X' is no letter of it; use F full, R routed"),
        ({"depth": {"pattern": "R"}, "mixers": "M"}, "set mixers to A"),
    ],
)
def test_impossible_depths_are_one_line(shape: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ModelConfig.model_validate({"n_layers": 4, **shape})
