"""Recurrences, mixers and experts against loops that follow the papers' formulas token by token."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from model.architecture.attention_free import AttentionFree
from model.architecture.auxiliary import auxiliary_loss
from model.architecture.config import ModelConfig
from model.architecture.convolution import CausalConvolution
from model.architecture.experts import Experts, expert_usage, load_balance_loss, router_z_loss
from model.architecture.mamba import Mamba
from model.architecture.masks import AttentionContext
from model.architecture.scan import linear_scan, running_maximum


def config_of(**values: Any) -> ModelConfig:
    small = {"vocab_size": 50, "n_layers": 2, "d_model": 16, "n_heads": 4, "n_kv_heads": 4, "d_ff": 24}
    return ModelConfig.model_validate({**small, **values})


def context_of(positions: torch.Tensor) -> AttentionContext:
    empty = torch.empty(0)
    return AttentionContext(empty, empty, None, None, None, positions)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def randomized(part: Any, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return part


@pytest.mark.feature("ARCH-10")
def test_the_scan_follows_its_recurrence_and_its_gradients_match_numerical_ones() -> None:
    decay, update, start = (
        random(*shape, seed=i, dtype=torch.float64) for i, shape in enumerate([(2, 6, 3)] * 2 + [(2, 3)])
    )
    state, states = start, []
    for t in range(6):
        state = decay[:, t] * state + update[:, t]
        states.append(state)
    torch.testing.assert_close(linear_scan(decay, update, start), torch.stack(states, dim=1))
    inputs = tuple(x.requires_grad_() for x in (decay, update, start))
    assert torch.autograd.gradcheck(linear_scan, inputs)


def test_the_running_maximum_starts_anew_with_each_document() -> None:
    x = random(1, 9, 2)
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 0, 1, 2]])
    found = running_maximum(x, positions, torch.full((1, 2), 9.0))
    for t, position in enumerate(positions[0].tolist()):
        torch.testing.assert_close(found[0, t], x[0, t - position : t + 1].amax(dim=0))


@pytest.mark.feature("ARCH-10")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mamba_follows_algorithm_2_of_its_paper(dtype: torch.dtype) -> None:
    part = randomized(Mamba(config_of(mixers="M", recurrent={"state": 3}), 0)).to(dtype)
    x = random(2, 70, 16, dtype=dtype)  # more than one chunk
    inner, gate = (x @ part.inner.weight.T).chunk(2, dim=-1)
    filters, bias = part.convolution.weight, part.convolution.bias
    padded = functional.pad(inner.mT, (3, 0))
    inner = functional.silu(functional.conv1d(padded, filters[:, None], bias, groups=32)).mT
    rank, write, read = (inner @ part.select.weight.T).split([1, 3, 3], dim=-1)
    steps = functional.softplus(rank @ part.step.weight.T + part.step.bias)
    state, outputs = torch.zeros(2, 32, 3, dtype=dtype), []
    for t in range(70):
        decay = torch.exp(steps[:, t, :, None] * -torch.exp(part.log_rates))
        state = decay * state + steps[:, t, :, None] * write[:, t, None] * inner[:, t, :, None]
        outputs.append((state * read[:, t, None]).sum(-1) + part.skip * inner[:, t])
    expected = (torch.stack(outputs, dim=1) * functional.silu(gate)) @ part.out.weight.T
    torch.testing.assert_close(part(x, context_of(torch.arange(70)[None])), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.feature("ARCH-08")
@pytest.mark.parametrize("size", [1.0, 60.0])
def test_attention_free_mixing_is_the_weighted_mean_of_the_past(size: float) -> None:
    part = randomized(AttentionFree(config_of(mixers="F"), 0)).double()
    x = size * random(2, 11, 16, dtype=torch.float64)  # large: exp of the keys alone would overflow in float32
    q, k, v = (x @ part.qkv.weight.T).chunk(3, dim=-1)
    means = torch.stack([(k[:, : t + 1].softmax(dim=1) * v[:, : t + 1]).sum(dim=1) for t in range(11)], dim=1)
    expected = (torch.sigmoid(q) * means) @ part.out.weight.T
    torch.testing.assert_close(part(x, context_of(torch.arange(11)[None])), expected)
    in_float32 = part.float()(x.float(), context_of(torch.arange(11)[None]))
    torch.testing.assert_close(in_float32, expected.float(), atol=size * 1e-4, rtol=1e-3)


@pytest.mark.feature("ARCH-08")
def test_causal_convolution_equals_that_of_torch() -> None:
    part, x = randomized(CausalConvolution(6, 4, bias=True, name="")), random(2, 9, 6)
    expected = functional.conv1d(functional.pad(x.mT, (3, 0)), part.weight[:, None], part.bias, groups=6).mT
    torch.testing.assert_close(part(x, context_of(torch.arange(9)[None])), expected)


@pytest.mark.feature("ARCH-09")
@pytest.mark.parametrize("kind", ["swiglu", "gelu"])
def test_experts_equal_a_loop_over_tokens(kind: str) -> None:
    options = {"n_experts": 5, "top_k": 2, "shared_d_ff": 8}
    part = randomized(Experts(config_of(experts=options, feedforward={"kind": kind}), 0)).eval()
    x = random(2, 7, 16)
    found = part(x, context_of(torch.arange(7)[None]))
    used = torch.zeros(5)
    for row in range(2):
        for t in range(7):
            token = x[row, t]
            logits = part.router.weight @ token
            best = logits.topk(2).indices.tolist()
            weights = logits[best].softmax(0)
            expected = part.shared.down.weight @ part.middle(part.shared.up.weight @ token)
            for weight, expert in zip(weights, best, strict=True):
                expected = expected + weight * (part.down[expert] @ part.middle(part.up[expert] @ token))
                used[expert] += 1 / 14
            torch.testing.assert_close(found[row, t], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(part.usage, used)


@pytest.mark.feature("ARCH-09")
def test_load_balance_loss_equals_that_of_transformers_and_z_loss_its_formula() -> None:
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    logits = random(2, 9, 5)
    chosen = torch.zeros_like(logits).scatter(-1, logits.topk(2).indices, 1.0).mean(dim=(0, 1))
    theirs = load_balancing_loss_func((logits.view(18, 5),), num_experts=5, top_k=2)
    torch.testing.assert_close(load_balance_loss(logits, chosen), theirs)
    by_hand = sum(math.log(sum(math.exp(v) for v in row)) ** 2 for row in logits.view(18, 5).tolist()) / 18
    assert float(router_z_loss(logits)) == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.feature("ARCH-09")
def test_a_full_expert_takes_no_later_token_of_the_sequence_in_training() -> None:
    part = randomized(Experts(config_of(experts={"n_experts": 2, "top_k": 1, "capacity": 0.5}), 0))
    with torch.no_grad():
        part.router.weight[0], part.router.weight[1] = 1.0, -1.0
    x = random(2, 8, 16).abs()  # every token wants expert 0, which takes ceil(0.5 * 8 / 2) = 2 of each sequence
    trained = part.train()(x, context_of(torch.arange(8)[None]))
    assert (trained[:, :2] != 0).any(-1).all()
    assert not trained[:, 2:].any()
    used = part.eval()(x, context_of(torch.arange(8)[None]))
    assert (used != 0).any(-1).all()
    assert expert_usage(part) == {"": [1.0, 0.0]}


@pytest.mark.feature("ARCH-09")
def test_expert_choice_thresholds_move_to_where_loads_are_even() -> None:
    options = {"n_experts": 4, "top_k": 1, "routing": "expert_choice"}
    part = randomized(Experts(config_of(experts=options), 0)).train()
    for seed in range(60):
        part(random(4, 32, 16, seed=seed), context_of(torch.arange(32)[None]))
    with torch.no_grad():
        part.eval()(random(16, 64, 16, seed=999), context_of(torch.arange(64)[None]))
    assert part.usage.tolist() == pytest.approx([0.25] * 4, abs=0.05)


@pytest.mark.feature("ARCH-09")
def test_the_balance_loss_spreads_tokens() -> None:
    part = randomized(Experts(config_of(experts={"n_experts": 4, "top_k": 1, "load_balance_loss": 1.0}), 0)).train()
    with torch.no_grad():
        part.router.weight[0] += 0.5
    x = random(8, 32, 16) + 0.5
    optimizer = torch.optim.Adam([part.router.weight], lr=0.02)
    part(x, context_of(torch.arange(32)[None]))
    before = part.usage.max()
    for _ in range(100):
        optimizer.zero_grad()
        part(x, context_of(torch.arange(32)[None]))
        loss = auxiliary_loss(part)
        assert loss is not None
        loss.backward()
        optimizer.step()
    assert part.usage.max() < 0.5 * before
