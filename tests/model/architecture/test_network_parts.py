"""Norms, feed-forwards, embeddings and blocks against torch and against brute force."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from model.architecture.activation import table_gelu
from model.architecture.block import build_block
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.embedding import AdaptiveEmbedding, EmbeddingNoise
from model.architecture.feedforward import FEEDFORWARDS
from model.architecture.masks import AttentionContext
from model.architecture.norm import NORMS, QueryKeyNorm

SMALL = {
    "vocab_size": 50,
    "n_layers": 2,
    "d_model": 16,
    "n_heads": 4,
    "n_kv_heads": 4,
    "d_ff": 24,
    "context_length": 16,
}


def config_of(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SMALL, **values})


def context_of(length: int) -> AttentionContext:
    empty = torch.empty(0)
    return AttentionContext(empty, empty, None, None, None, torch.arange(length)[None])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomized(part: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return part


@pytest.mark.feature("ARCH-02")
@pytest.mark.parametrize("kind", ["rms", "layer", "layer_no_bias"])
def test_norms_equal_those_of_torch(kind: str) -> None:
    ours = randomized(NORMS[kind](16, 1e-5))
    theirs = nn.RMSNorm(16, 1e-5) if kind == "rms" else nn.LayerNorm(16, 1e-5, bias=kind == "layer")
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(random(2, 3, 16)), theirs(random(2, 3, 16)))


@pytest.mark.feature("ARCH-02")
def test_query_key_norm_norms_each_head_by_its_own_kind() -> None:
    part = randomized(QueryKeyNorm(config_of(n_kv_heads=2)))
    qk = random(2, 6, 5, 4)
    for head in range(6):
        weight = (part.query if head < 4 else part.key).weight
        expected = functional.rms_norm(qk[:, head], (4,), weight, 1e-5)
        torch.testing.assert_close(part(qk)[:, head], expected)


@pytest.mark.feature("ARCH-02")
@pytest.mark.parametrize("placement", ["pre", "post"])
def test_a_block_equals_the_transformer_layer_of_torch(placement: str) -> None:
    values = {"norm": {"kind": "layer", "placement": placement}, "feedforward": {"kind": "relu", "bias": True}}
    config = config_of(**values, attention={"bias": "all"}, position={"kind": "none"})
    ours = randomized(build_block(config, 0)).eval()
    theirs = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=placement == "pre").eval()
    names = {
        "self_attn.in_proj_weight": "attention.qkv.weight", "self_attn.in_proj_bias": "attention.qkv.bias",
        "self_attn.out_proj.weight": "attention.out.weight", "self_attn.out_proj.bias": "attention.out.bias",
        "linear1.weight": "feedforward.up.weight", "linear1.bias": "feedforward.up.bias",
        "linear2.weight": "feedforward.down.weight", "linear2.bias": "feedforward.down.bias",
        "norm1.weight": "attention_norm.weight", "norm1.bias": "attention_norm.bias",
        "norm2.weight": "feedforward_norm.weight", "norm2.bias": "feedforward_norm.bias",
    }  # fmt: skip
    theirs.load_state_dict({name: ours.state_dict()[mine] for name, mine in names.items()})
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    x = random(2, 7, 16)
    torch.testing.assert_close(ours(x, context_of(7)), theirs(x, mask, is_causal=True), atol=1e-5, rtol=1e-5)


@pytest.mark.feature("ARCH-04")
@pytest.mark.parametrize(
    ("kind", "middle"),
    [
        ("relu", functional.relu), ("relu2", lambda x: functional.relu(x) ** 2), ("gelu", nn.GELU()),
        ("gelu_tanh", nn.GELU(approximate="tanh")), ("gelu_table", nn.GELU()), ("silu", nn.SiLU()),
    ],
)  # fmt: skip
def test_plain_feed_forwards_equal_their_formula(kind: str, middle: Any) -> None:
    part = randomized(FEEDFORWARDS[kind](config_of(feedforward={"kind": kind, "bias": True}), 0))
    x = random(2, 5, 16)
    expected = middle(x @ part.up.weight.T + part.up.bias) @ part.down.weight.T + part.down.bias
    torch.testing.assert_close(part(x, context_of(5)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.feature("ARCH-04")
@pytest.mark.parametrize(
    ("kind", "gate"),
    [("swiglu", nn.SiLU()), ("geglu", nn.GELU()), ("geglu_tanh", nn.GELU("tanh")), ("glu", nn.Sigmoid())],
)
def test_gated_units_equal_their_formula(kind: str, gate: Any) -> None:
    part = randomized(FEEDFORWARDS[kind](config_of(feedforward={"kind": kind}), 0))
    x, (first, second) = random(2, 5, 16), part.gate_up.weight.chunk(2)
    expected = (gate(x @ first.T) * (x @ second.T)) @ part.down.weight.T
    torch.testing.assert_close(part(x, context_of(5)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.feature("ARCH-04")
def test_a_kernel_one_convolution_is_the_plain_feed_forward() -> None:
    convolution = randomized(FEEDFORWARDS["conv1"](config_of(feedforward={"kind": "conv1", "bias": True}), 0))
    plain = FEEDFORWARDS["relu"](config_of(feedforward={"kind": "relu", "bias": True}), 0)
    plain.load_state_dict({n: p.squeeze(-1) if p.dim() == 3 else p for n, p in convolution.state_dict().items()})
    x = random(2, 5, 16)
    torch.testing.assert_close(convolution(x, context_of(5)), plain(x, context_of(5)))


@pytest.mark.feature("ARCH-04")
def test_table_gelu_is_close_to_the_exact_one_with_its_gradient() -> None:
    x = torch.linspace(-10, 10, 20_001, requires_grad=True)
    y, exact = table_gelu(x), functional.gelu(x)
    assert float((y - exact).detach().abs().max()) < 4e-6
    (mine,) = torch.autograd.grad(y.sum(), x)
    (theirs,) = torch.autograd.grad(exact.sum(), x)
    assert float((mine - theirs).abs().max()) < 3e-3


@pytest.mark.feature("ARCH-12")
def test_adaptive_embeddings_look_each_token_up_in_its_cluster() -> None:
    config = config_of(embedding={"kind": "adaptive", "cutoffs": [10, 30], "narrowing": 2}, tie_embeddings=False)
    part = randomized(AdaptiveEmbedding(config))
    tokens = torch.arange(50).view(2, 25)
    found = part(tokens).view(50, 16)
    for token in range(50):
        cluster = 0 if token < 10 else 1 if token < 30 else 2
        row = part.tables[cluster].weight[token - (0, 10, 30)[cluster]]
        assert len(row) == (16, 8, 4)[cluster]
        torch.testing.assert_close(found[token], part.projections[cluster].weight @ row)


@pytest.mark.feature("ARCH-12")
def test_embedding_noise_is_bounded_and_in_training_only() -> None:
    part, x = EmbeddingNoise(5.0), random(2, 10, 16)
    bound = 5.0 / 160**0.5
    noise = (part.train()(x) - x).abs()
    assert bound * 0.9 < float(noise.max()) <= bound + 1e-6
    assert torch.equal(part.eval()(x), x)


@pytest.mark.feature("ARCH-13")
@pytest.mark.parametrize(
    ("kind", "inner", "residual"),
    [
        ("normal", 0.02, 0.02), ("gpt2", 0.02, 0.02 / 2), ("kaiming", (2 / 256) ** 0.5, (2 / 512) ** 0.5),
        ("xavier", (2 / 1280) ** 0.5, (2 / 768) ** 0.5), ("mup", 0.02 / 2, 0.02 / 4),
    ],
)  # fmt: skip
def test_initialization_has_the_deviation_of_its_paper(kind: str, inner: float, residual: float) -> None:
    config = config_of(d_model=256, d_ff=512, initialization={"kind": kind, "base": {"d_model": 64, "head_size": 16}})
    network = Decoder(config)
    initialize(network, torch.Generator().manual_seed(0))
    block = network.blocks[0]
    assert float(block.feedforward.gate_up.weight.detach().std()) == pytest.approx(inner, rel=0.02)
    assert float(block.feedforward.down.weight.detach().std()) == pytest.approx(residual, rel=0.02)


@pytest.mark.feature("ARCH-13")
def test_mup_keeps_logits_and_their_first_update_of_one_size_over_widths() -> None:
    from model.architecture.initialization import learning_rate_factors

    changes = {}
    for kind in ("mup", "gpt2"):
        sizes = []
        for width in (32, 256):
            base = {"kind": kind, "base": {"d_model": 32, "head_size": 8}}
            config = config_of(d_model=width, d_ff=2 * width, n_heads=width // 8, n_kv_heads=1, initialization=base)
            network = Decoder(config).train()
            initialize(network, torch.Generator().manual_seed(0))
            factors = learning_rate_factors(network)
            groups = [{"params": [p], "lr": 1e-2 * factors[n]} for n, p in network.named_parameters()]
            optimizer = torch.optim.Adam(groups)
            tokens = torch.randint(0, 50, (8, 17), generator=torch.Generator().manual_seed(0))
            before = network(tokens[:, :-1]).detach()
            for _ in range(3):
                optimizer.zero_grad()
                functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
                optimizer.step()
            sizes.append(float((network(tokens[:, :-1]).detach() - before).std()))
        changes[kind] = sizes[1] / sizes[0]
    assert 0.5 < changes["mup"] < 2.0, changes
    assert changes["gpt2"] > 2 * changes["mup"], changes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixers": "AX"}, "'X' is no letter of it; use A attention, F attention_free"),
        ({"n_layers": 4, "attention": {"pattern": "SSL", "window": 4}}, "3 letters, which does not divide n_layers 4"),
        ({"attention": {"pattern": "S"}}, "needs attention.window"),
        ({"attention": {"pattern": "S", "window": 17}}, "window 17 is larger than context_length 16"),
        ({"attention": {"window": 4}}, "is used by no layer"),
        ({"attention": {"block": 4, "block_summary": 5}}, "block_summary 5 is more than attention.block 4"),
        ({"experts": {"n_experts": 2, "top_k": 3}}, "top_k 3 is more than experts.n_experts 2"),
        ({"experts": {}, "feedforward": {"kind": "none"}}, "choose another feedforward.kind than none"),
        ({"position": {"kind": "learned", "pattern": "PN"}}, "learned is the same for all layers"),
        ({"position": {"kind": "alibi", "scaling": {"kind": "linear", "factor": 2}}}, "scaling is of rotary positions"),
        ({"head_dim": 5}, "head_dim = 5 must be even"),
        ({"embedding": {"kind": "adaptive", "cutoffs": [9]}}, "set tie_embeddings to false"),
        (
            {"embedding": {"kind": "adaptive", "cutoffs": [60]}, "tie_embeddings": False},
            "60 is not below vocab_size 50",
        ),
        ({"norm": {"placement": "post"}, "feedforward": {"kind": "none"}}, "set it to pre"),
        ({"attention": {"softcap": 1.0}, "dropout": 0.1}, "set dropout to 0"),
    ],
)
def test_an_impossible_combination_says_what_to_change(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(**values)


@pytest.mark.feature("ARCH-14")
def test_a_sparsity_loss_makes_activations_zero_and_is_the_mean_size() -> None:
    from model.architecture.auxiliary import activation_sparsity, auxiliary_loss

    part = randomized(FEEDFORWARDS["relu"](config_of(feedforward={"kind": "relu", "sparsity_loss": 0.5}), 0)).train()
    x = random(4, 9, 16)
    part(x, context_of(9))
    loss, before = auxiliary_loss(part), activation_sparsity(part)["watch"]
    torch.testing.assert_close(loss, 0.5 * functional.relu(x @ part.up.weight.T).mean())
    assert before == pytest.approx(0.5, abs=0.1)
    optimizer = torch.optim.SGD(part.parameters(), lr=3.0)
    for _ in range(60):
        optimizer.zero_grad()
        part(x, context_of(9))
        loss = auxiliary_loss(part)
        assert loss is not None
        loss.backward()
        optimizer.step()
    assert activation_sparsity(part)["watch"] > before + 0.2


@pytest.mark.feature("ARCH-16")
def test_a_vector_in_the_place_of_a_token_does_what_its_embedding_would() -> None:
    from model.architecture.inserts import AtPlaceholders
    from model.errors import ConfigError

    network = Decoder(config_of()).eval()
    initialize(network, torch.Generator().manual_seed(0), std=0.3)
    tokens = torch.randint(0, 49, (2, 9), generator=torch.Generator().manual_seed(0))
    masked, places = tokens.clone(), torch.zeros_like(tokens, dtype=torch.bool)
    places[0, 2:5], places[1, 7] = True, True
    masked[places] = 49
    vectors = network.embedding(tokens[places]).detach().requires_grad_()
    found = network.hidden(masked, inserts=AtPlaceholders(49, vectors))
    torch.testing.assert_close(found, network.hidden(tokens))
    found[0, :5].sum().backward()
    assert vectors.grad is not None
    assert vectors.grad[:3].any()
    assert not vectors.grad[3].any()  # of the other sequence
    with pytest.raises(ConfigError, match=r"\(3, 16\) vectors for 4 placeholders \(token 49\)"):
        network.hidden(masked, inserts=AtPlaceholders(49, vectors[:3]))
