"""Every part of our own that is not one operation of torch: its gradients against numerical ones, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from configurations import VOCABULARY
from torch import Tensor, nn

from model.architecture.activation import ACTIVATIONS
from model.architecture.attend import attend
from model.architecture.auxiliary import auxiliary_loss
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.feedforward import FEEDFORWARDS, gated
from model.architecture.loss import exit_loss
from model.architecture.masks import AttentionContext, Sight, look_of
from model.architecture.mixers import MIXERS
from model.architecture.norm import NORMS, QueryKeyNorm
from model.architecture.position import rotary_table, rotate
from model.architecture.scan import linear_scan
from model.architecture.short_attention import short_causal_attention
from model.architecture.tiled_attention import tiled_attention
from model.training.config import LossConfig
from model.training.objectives import next_token_loss, training_loss

pytestmark = pytest.mark.feature("TRAIN-01")
LENGTH = 5
SMALL = {
    "vocab_size": VOCABULARY, "n_layers": 2, "d_model": 8, "n_heads": 2, "n_kv_heads": 1, "d_ff": 8,
    "context_length": 8,
}  # fmt: skip


def config_of(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SMALL, **values})


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def context_of(positions: list[int]) -> AttentionContext:
    at = torch.tensor([positions])
    cos, sin = (table[:, None].double() for table in rotary_table(at, 4, 100.0))
    return AttentionContext(cos, sin, None, None, None, at)


def agree(function: Callable[..., Tensor], *inputs: Tensor) -> bool:
    return torch.autograd.gradcheck(function, inputs)


def parts_agree(part: nn.Module, run: Callable[[nn.Module, Tensor], Tensor], x: Tensor) -> bool:
    """Gradients of the input and of every weight of a part."""
    names, weights = zip(*[(n, p) for n, p in part.named_parameters() if p.requires_grad], strict=True)

    def function(x: Tensor, *values: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(
            _Running(part, run), {f"part.{n}": v for n, v in zip(names, values, strict=True)}, (x,)
        )
        return result

    return agree(function, x, *(w.detach().clone().requires_grad_() for w in weights))


class _Running(nn.Module):
    def __init__(self, part: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.part, self.run = part, run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.part, x)


def randomized(part: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return part.double()


@pytest.mark.parametrize("kind", NORMS)
def test_norms(kind: str) -> None:
    part = randomized(NORMS[kind](6, 1e-5))
    assert parts_agree(part, lambda part, x: part(x), random(2, 3, 6))


def test_norms_of_queries_and_keys() -> None:
    part = randomized(QueryKeyNorm(config_of(norm={"qk": "rms"})))
    assert parts_agree(part, lambda part, x: part(x), random(1, 3, 4, 4))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str) -> None:
    x = torch.tensor([-3.3, -1.1, -0.4, 0.3, 1.7, 2.9], dtype=torch.float64).requires_grad_()
    # the table is in float32: a step over several of its entries, and what such a step can tell
    eps, tolerance = (2e-2, 3e-3) if activation == "gelu_table" else (1e-6, 1e-5)
    assert torch.autograd.gradcheck(ACTIVATIONS[activation], (x,), eps=eps, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kind", ["swiglu", "geglu", "geglu_tanh", "glu"])
def test_gates(kind: str) -> None:
    assert agree(gated(kind), random(3, 8))


@pytest.mark.parametrize("kind", [kind for kind in FEEDFORWARDS if kind not in {"none", "gelu_table"}])
@pytest.mark.parametrize("bias", [False, True])
def test_feed_forwards(kind: str, bias: bool) -> None:
    part = randomized(FEEDFORWARDS[kind](config_of(feedforward={"kind": kind, "bias": bias}), 0))
    context = context_of([0, 1, 2, 0, 1])
    assert parts_agree(part, lambda part, x: part(x, context), random(2, LENGTH, 8))


def test_rotation() -> None:
    cos, sin = (table.double() for table in rotary_table(torch.arange(LENGTH), 4, 100.0))
    assert agree(lambda x: rotate(x, cos, sin), random(1, 2, LENGTH, 4))


@pytest.mark.parametrize("masked", ["causal", "documents", "alibi"])
def test_short_attention(masked: str) -> None:
    causal = torch.full((LENGTH, LENGTH), float("-inf"), dtype=torch.float64).triu(1)
    bias = causal[None, None] if masked != "causal" else None
    if masked == "documents":
        bias = bias.clone()
        bias[..., 3:, :3] = float("-inf")
    if masked == "alibi":
        bias = bias + torch.arange(LENGTH) * torch.tensor([0.5, 0.1])[:, None, None]
    q, k, v = random(1, 2, LENGTH, 4), random(1, 1, LENGTH, 4, seed=1), random(1, 1, LENGTH, 4, seed=2)
    assert agree(lambda *x: short_causal_attention(*x, bias), q, k, v)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("masked", [False, True])
def test_tiled_attention(softcap: float | None, masked: bool) -> None:
    seen = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril().triu(-2)[None, None] if masked else None
    q, k, v = random(1, 2, LENGTH, 4), random(1, 1, LENGTH, 4, seed=1), random(1, 1, LENGTH, 4, seed=2)
    assert agree(lambda *x: tiled_attention(*x, seen, softcap=softcap, tile=2), q, k, v)
    context = AttentionContext(torch.empty(0), torch.empty(0), seen, None, None, torch.arange(LENGTH)[None])
    sight = Sight(look_of(ModelConfig(), 0), context, LENGTH)
    assert agree(lambda *x: attend(*x, sight, training=True, dropout=0.0, softcap=softcap), q, k, v)


def test_scan() -> None:
    assert agree(linear_scan, random(2, LENGTH, 3), random(2, LENGTH, 3, seed=1), random(2, 3, seed=2))


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("positions", [[0, 1, 2, 3, 4], [0, 1, 0, 1, 2]], ids=["whole", "packed"])
def test_mixers(mixer: str, positions: list[int]) -> None:
    letter = {"attention": "A", "attention_free": "F", "convolution": "C", "mamba": "M"}[mixer]
    attention = {"gate": "feature", "bias": "all"}
    config = config_of(mixers=letter, attention=attention, norm={"qk": "rms"}, recurrent={"state": 2, "bias": True})
    part = randomized(MIXERS[mixer](config, 0)).train()
    context = context_of(positions)
    assert parts_agree(part, lambda part, x: part(x, context), random(1, LENGTH, 8))


@pytest.mark.parametrize(
    "experts",
    [
        {"n_experts": 3, "top_k": 2}, {"n_experts": 3, "top_k": 1, "shared_d_ff": 4, "capacity": 1.0},
        {"n_experts": 3, "top_k": 1, "routing": "expert_choice"},
    ],
)  # fmt: skip
def test_experts_and_their_losses(experts: dict[str, Any]) -> None:
    from model.architecture.experts import Experts

    part = randomized(Experts(config_of(experts=experts), 0)).train()
    context = context_of([0, 1, 2, 3, 4])

    def run(part: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():  # the running threshold moves with each call: put it back
            for name, parameter in part.named_parameters():
                if name.endswith("threshold"):
                    parameter.zero_()
        y: Tensor = part(x, context)
        loss = auxiliary_loss(part)
        return y if loss is None else y + loss

    assert parts_agree(part, run, random(1, LENGTH, 8))


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("z_loss", [0.0, 0.05])
@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_the_chunked_loss(
    softcap: float | None, smoothing: float, z_loss: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.kernels.loss.CHUNK_LOGITS", chunk)
    options, targets = LossConfig(label_smoothing=smoothing, z_loss=z_loss), torch.tensor([[1, 4, -100, 2]])
    assert agree(
        lambda hidden, weight: next_token_loss(hidden, weight, targets, options=options, softcap=softcap),
        random(1, 4, 3), random(6, 3, seed=1),
    )  # fmt: skip


def decoder_of(**values: Any) -> Decoder:
    network = Decoder(config_of(**values))
    initialize(network, torch.Generator().manual_seed(0), std=0.4)
    return network.double().train()


def test_the_loss_of_an_exit() -> None:
    network, targets = decoder_of(depth={"exit_every": 1}), torch.tensor([[1, 4, -100, 2]])
    last = random(1, 4, 8, seed=5).detach()

    def loss(exit_BTD: Tensor) -> Tensor:
        return 0.5 * exit_loss(network.head, network.depth.confident, exit_BTD, last, targets)

    # the confidence moves nothing but its own head, so it is no part of this gradient
    found = torch.autograd.grad(loss(x := random(1, 4, 8)), x)[0]
    alone = torch.autograd.grad(0.5 * next_token_loss(x, network.head.weight, targets), x)[0]
    torch.testing.assert_close(found, alone)
    assert agree(lambda x: next_token_loss(x, network.head.weight, targets), x)
    (of_head,) = torch.autograd.grad(loss(x), network.depth.confidence.weight)
    for i in range(8):
        step = torch.zeros_like(of_head)
        step[0, i] = 1e-6
        with torch.no_grad():
            network.depth.confidence.weight.add_(step)
            above = loss(x)
            network.depth.confidence.weight.sub_(2 * step)
            below = loss(x)
            network.depth.confidence.weight.add_(step)
        assert float((above - below) / 2e-6) == pytest.approx(float(of_head[0, i]), abs=1e-6)


WHOLE: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma 2": {"norm": {"placement": "sandwich"}, "feedforward": {"kind": "geglu_tanh"}, "logit_softcap": 3.0,
                "embedding": {"scale": "sqrt_width"}, "attention": {"softcap": 2.0, "pattern": "SL", "window": 2}},
    "gpt-2": {"norm": {"kind": "layer"}, "position": {"kind": "learned"}, "attention": {"bias": "all"},
              "feedforward": {"kind": "gelu_tanh", "bias": True}},
    "mixers": {"mixers": "FM", "feedforward": {"kind": "depthwise"}},
    "mixtral": {"experts": {"n_experts": 3, "top_k": 2}},
    "adaptive": {"tie_embeddings": False, "embedding": {"kind": "adaptive", "cutoffs": [10, 20], "narrowing": 2}},
    "post, alibi, gate": {"norm": {"placement": "post", "kind": "layer_no_bias"}, "position": {"kind": "alibi"},
                          "attention": {"gate": "head"}, "feedforward": {"kind": "relu2", "sparsity_loss": 0.3}},
}  # fmt: skip


@pytest.mark.feature("TRAIN-01", "ARCH-01")
@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_training_loss_along_a_random_direction(name: str) -> None:
    """All weights at once: the slope along a direction is the gradient's product with it.

    Exits are left out: what their confidence learns stops at its own head (`test_the_loss_of_an_exit`).
    """
    network = decoder_of(**WHOLE[name])
    tokens = torch.randint(0, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(1))
    weights = [p for p in network.parameters() if p.requires_grad]
    directions = [random(*p.shape, seed=i).detach() for i, p in enumerate(weights)]

    def loss() -> Tensor:
        return training_loss(network, tokens[:, :-1], tokens[:, 1:])

    gradients = torch.autograd.grad(loss(), weights)
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    moved = []
    for sign in (1, -1):
        with torch.no_grad():
            torch._foreach_add_(weights, directions, alpha=sign * 1e-6)
        moved.append(float(loss().detach()))
        with torch.no_grad():
            torch._foreach_add_(weights, directions, alpha=-sign * 1e-6)
    assert (moved[0] - moved[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-6)
