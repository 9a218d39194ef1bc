"""The chunked loss against torch's, with every option, and its gradients against numerical ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.kernels import loss as kernel
from model.training.config import LossConfig
from model.training.objectives import next_token_loss, training_loss

pytestmark = pytest.mark.feature("TRAIN-01")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, options: LossConfig, cap: float | None
) -> torch.Tensor:
    """The same by torch, with all logits at once."""
    logits = (hidden @ weight.T).flatten(0, 1)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    loss = functional.cross_entropy(
        logits, targets.flatten(), ignore_index=-100, label_smoothing=options.label_smoothing
    )
    counted = logits[targets.flatten() >= 0]
    return loss + options.z_loss * counted.logsumexp(-1).square().mean()


@settings(max_examples=60, deadline=None)
@given(
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    z_loss=st.sampled_from([0.0, 1e-4, 0.1]),
    cap=st.sampled_from([None, 3.0]),
    ignored=st.integers(0, 5),
    chunk=st.sampled_from([1, 7, 40, 10_000]),
)
def test_loss_and_gradients_equal_those_of_torch_whatever_the_chunks(
    smoothing: float, z_loss: float, cap: float | None, ignored: int, chunk: int
) -> None:
    options = LossConfig(label_smoothing=smoothing, z_loss=z_loss)
    hidden, weight = random(2, 4, 6).requires_grad_(), (2 * random(11, 6, seed=1)).requires_grad_()
    targets = torch.randint(0, 11, (2, 4), generator=torch.Generator().manual_seed(2))
    targets.view(-1)[:ignored] = -100
    expected = reference(hidden, weight, targets, options, cap)
    wanted = torch.autograd.grad(expected, [hidden, weight])
    kept = kernel.CHUNK_LOGITS
    kernel.CHUNK_LOGITS = chunk
    try:
        found = next_token_loss(hidden, weight, targets, options=options, softcap=cap)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, [hidden, weight]), wanted)
    finally:
        kernel.CHUNK_LOGITS = kept


@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("options", [LossConfig(), LossConfig(label_smoothing=0.2, z_loss=0.05)])
def test_gradients_match_numerical_ones_in_float64(options: LossConfig, cap: float | None) -> None:
    targets = torch.tensor([[1, 4, -1]])
    inputs = (random(1, 3, 4).requires_grad_(), random(5, 4, seed=1).requires_grad_())

    def loss(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return next_token_loss(hidden, weight, targets, options=options, softcap=cap)

    assert torch.autograd.gradcheck(loss, inputs)


def test_nothing_counted_costs_nothing() -> None:
    hidden = random(1, 3, 4).requires_grad_()
    loss = next_token_loss(hidden, random(5, 4), torch.full((1, 3), -100))
    loss.backward()
    assert float(loss) == 0
    assert not hidden.grad.any()


@pytest.mark.parametrize(
    "values", [{}, {"logit_softcap": 3.0}, {"experts": {"n_experts": 4, "load_balance_loss": 0.5}}]
)
def test_the_training_loss_is_that_of_the_logits_plus_what_parts_ask_for(values: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(
        {"vocab_size": 30, "n_layers": 2, "d_model": 16, "n_heads": 2, "n_kv_heads": 2, "d_ff": 24, **values}
    )
    network = Decoder(config).train()
    initialize(network, torch.Generator().manual_seed(0), std=0.3)
    tokens = torch.randint(0, 30, (2, 9), generator=torch.Generator().manual_seed(0))
    found = training_loss(network, tokens[:, :-1], tokens[:, 1:])
    plain = functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    parts = [block.feedforward for block in network.blocks if config.experts is not None]
    extra = sum(0.5 * part.losses["load_balance"] + 0.001 * part.losses["router_z"] for part in parts)
    torch.testing.assert_close(found, plain + extra)
