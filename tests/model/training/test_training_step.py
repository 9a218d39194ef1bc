"""The step, the schedule, the objective and the optimizers against independent references."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.errors import TrainingError
from model.training.config import LossConfig, PretrainConfig
from model.training.objectives import next_token_loss, training_loss
from model.training.optimizers import build_optimizers
from model.training.schedules import learning_rate
from model.training.state import load_optimizer_tensors, optimizer_tensors
from model.training.step import train_step

SHAPE = ModelConfig(n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, d_ff=48, context_length=16)


def small(seed: int = 0) -> Decoder:
    network = Decoder(SHAPE.model_copy(update={"vocab_size": 61}))
    initialize(network, torch.Generator().manual_seed(seed))
    return network.train()


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(61, (4, 17), generator=torch.Generator().manual_seed(seed))
    return tokens[:, :-1], tokens[:, 1:]


@pytest.mark.parametrize("n_tokens", [1, 7, 300])
def test_chunked_loss_and_its_gradients_equal_plain_cross_entropy(
    n_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.kernels.loss.CHUNK_LOGITS", 61 * 32)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, n_tokens, 24, generator=generator).requires_grad_()
    weight = torch.randn(61, 24, generator=generator).requires_grad_()
    targets = torch.randint(61, (1, n_tokens), generator=generator)
    (3 * next_token_loss(hidden, weight, targets)).backward()
    plain_hidden, plain_weight = (x.detach().clone().requires_grad_() for x in (hidden, weight))
    expected = functional.cross_entropy((plain_hidden @ plain_weight.T)[0], targets[0])
    (3 * expected).backward()
    torch.testing.assert_close(next_token_loss(hidden, weight, targets), expected)
    torch.testing.assert_close(hidden.grad, plain_hidden.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(weight.grad, plain_weight.grad, atol=1e-6, rtol=1e-4)


def test_adamw_step_equals_torchs_plain_adamw() -> None:
    config = PretrainConfig(model=SHAPE, optimizer="adamw", clip_norm=0.5, weight_decay=0.1, warmup_steps=0)
    ours, theirs = small(), small()
    optimizers = build_optimizers(ours, config)
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    vectors = [p for p in theirs.parameters() if p.dim() == 1]
    reference = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=0.01, betas=(0.9, 0.95), foreach=False,
    )  # fmt: skip
    for step in range(3):
        inputs, targets = batch(step)
        train_step(ours, optimizers, inputs, targets, step=step, learning_rate=0.01, clip_norm=0.5)
        functional.cross_entropy(theirs(inputs).flatten(0, 1), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        reference.step()
        reference.zero_grad()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_has_exactly_one_optimizer(optimizer: str) -> None:
    network = small()
    optimizers = build_optimizers(network, PretrainConfig(model=SHAPE, optimizer=optimizer))
    owned = [id(p) for o in optimizers.values() for group in o.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in network.parameters())


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_learns_a_repeated_batch(optimizer: str) -> None:
    network = small()
    optimizers = build_optimizers(network, PretrainConfig(model=SHAPE, optimizer=optimizer))
    inputs, targets = batch()
    losses = [
        train_step(network, optimizers, inputs, targets, step=s, learning_rate=0.01, clip_norm=1.0).loss
        for s in range(60)
    ]
    assert losses[0] == pytest.approx(math.log(61), rel=0.05)
    assert losses[-1] < 0.5 * losses[0]


def test_a_loss_that_is_not_finite_stops_before_the_weights_change() -> None:
    network = small()
    optimizers = build_optimizers(network, PretrainConfig(model=SHAPE))
    with torch.no_grad():
        network.blocks[0].feedforward.down.weight[0, 0] = float("nan")
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    with pytest.raises(TrainingError, match=r"step 7: loss is nan, expected a finite number.*lower pretrain"):
        train_step(network, optimizers, *batch(), step=7, learning_rate=0.01, clip_norm=1.0)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name], equal_nan=True, atol=0, rtol=0)


@given(step=st.integers(0, 999), schedule=st.sampled_from(["cosine", "linear", "constant"]))
def test_learning_rate_stays_between_zero_and_its_peak(step: int, schedule: str) -> None:
    config = PretrainConfig(schedule=schedule, learning_rate=0.01, warmup_steps=100, steps=1000)
    assert 0 < learning_rate(config, step) <= 0.01


def test_cosine_schedule_passes_through_the_published_values() -> None:
    config = PretrainConfig(learning_rate=1.0, warmup_steps=10, steps=110, final_learning_rate_fraction=0.1)
    values = {0: 0.1, 9: 1.0, 10: 1.0, 35: 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2, 60: 0.55}
    for step, expected in values.items():
        assert learning_rate(config, step) == pytest.approx(expected)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_optimizer_restored_from_tensors_goes_on_bit_for_bit(optimizer: str) -> None:
    config = PretrainConfig(model=SHAPE, optimizer=optimizer)
    network = small()
    optimizers = build_optimizers(network, config)
    train_step(network, optimizers, *batch(1), step=1, learning_rate=0.01, clip_norm=1.0)
    copy = small(seed=9)
    copy.load_state_dict(network.state_dict())
    restored = build_optimizers(copy, config)
    load_optimizer_tensors(restored, {k: v.clone() for k, v in optimizer_tensors(optimizers).items()})
    for network_, optimizers_ in ((network, optimizers), (copy, restored)):
        train_step(network_, optimizers_, *batch(2), step=2, learning_rate=0.01, clip_norm=1.0)
    for mine, other in zip(network.parameters(), copy.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_mup_takes_narrower_steps_in_the_matrices_of_a_wider_network() -> None:
    shape = {"initialization": {"kind": "mup", "base": {"d_model": 8, "head_size": 4}}}
    wide = ModelConfig.model_validate(SHAPE.model_dump() | shape | {"vocab_size": 61})
    network = Decoder(wide).train()
    initialize(network, torch.Generator().manual_seed(0))
    config = PretrainConfig(model=SHAPE, optimizer="adamw", weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    train_step(network, build_optimizers(network, config), *batch(), step=1, learning_rate=0.01, clip_norm=1.0)
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in network.named_parameters()}
    assert moved["embedding.weight"] == pytest.approx(0.01, rel=0.02)  # Adam's first step is the learning rate
    assert moved["blocks.0.attention.qkv.weight"] == pytest.approx(0.01 * 8 / 32, rel=0.02)


def test_a_step_minimizes_what_its_options_add() -> None:
    plain, smoothed = small(), small()
    options = LossConfig(label_smoothing=0.2, z_loss=0.01)
    for network, added in ((plain, LossConfig()), (smoothed, options)):
        optimizers = build_optimizers(network, PretrainConfig(model=SHAPE))
        result = train_step(
            network, optimizers, *batch(), step=1, learning_rate=0.01, clip_norm=1.0, loss_options=added
        )
        fresh, (inputs, targets) = small(), batch()
        expected = training_loss(fresh, inputs, targets, options=added)
        assert result.loss == pytest.approx(expected.item(), rel=1e-6)
    assert not torch.equal(plain.embedding.weight, smoothed.embedding.weight)
