"""Int8 weights of every network that the schema allows: what they compute, how they are stored, what stays float32."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import torch
from configurations import built, configurations, tokens_of
from hypothesis import HealthCheck, example, given, settings
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.depth import EarlyExit
from model.architecture.interop.families import essential
from model.compression.counterparts import why_float32
from model.compression.quantize import quantize_int8
from model.compression.storage import load_quantized, open_model, save_quantized
from model.errors import CheckpointError, ConfigError

pytestmark = [pytest.mark.feature("ARCH-17"), pytest.mark.feature("COMP-01")]
many = settings(max_examples=60, suppress_health_check=list(HealthCheck))

SMALL = {
    "vocab_size": 40,
    "n_layers": 2,
    "d_model": 16,
    "n_heads": 2,
    "n_kv_heads": 2,
    "d_ff": 24,
    "context_length": 32,
}
GPT2 = {
    "norm": {"kind": "layer"}, "position": {"kind": "learned"}, "attention": {"bias": "all"},
    "feedforward": {"kind": "gelu_tanh", "bias": True},
}  # fmt: skip
GEMMA2 = {
    "norm": {"placement": "sandwich"}, "feedforward": {"kind": "geglu_tanh"}, "embedding": {"scale": "sqrt_width"},
    "attention": {"softcap": 50.0}, "logit_softcap": 30.0,
}  # fmt: skip
ADAPTIVE = {"embedding": {"kind": "adaptive", "cutoffs": [10, 25], "narrowing": 2}, "tie_embeddings": False}
NETWORKS = {
    "llama": {}, "gpt2": GPT2, "gemma2": GEMMA2, "adaptive": ADAPTIVE, "qwen3": {"norm": {"qk": "rms"}},
    "mixtral": {"experts": {"n_experts": 4, "top_k": 2}},
    "mamba": {"mixers": "M", "feedforward": {"kind": "none"}},
    "routed": {"depth": {"pattern": "FR", "exit_every": 1}},
    "conv1": {"feedforward": {"kind": "conv1", "bias": True}},
}  # fmt: skip


def network(name: str) -> ModelConfig:
    return ModelConfig.model_validate(SMALL | NETWORKS[name])


def widened(original: Decoder, quantized: Decoder) -> Decoder:
    """A float network with the weights that the int8 numbers stand for."""
    state = quantized.state_dict()

    def wide(name: str) -> Tensor:
        return state[f"{name}.weight"].float() * state[f"{name}.scale"][:, None]

    def of(name: str, parameter: Tensor) -> Tensor:
        path = name.removesuffix(".weight")
        if f"{name}.0.weight" in state:  # a matrix for each expert
            return torch.stack([wide(f"{name}.{i}") for i in range(len(parameter))])
        if f"{name}.weight" in state:
            return wide(name)
        return wide(path).view_as(parameter) if f"{path}.scale" in state else state[name]

    reference = Decoder(original.config)
    reference.load_state_dict({name: of(name, p) for name, p in original.named_parameters(remove_duplicate=False)})
    return alike(reference.eval())


def alike(model: Decoder) -> Decoder:
    """With the threshold of exits that the other networks here have."""
    if isinstance(model.depth, EarlyExit):
        model.depth.threshold = 0.5
    return model


@many
@given(config=configurations())
@torch.inference_mode()
def test_it_computes_what_the_widened_weights_compute(config: ModelConfig) -> None:
    original = built(config)
    quantized = alike(quantize_int8(original))

    got, expected = (model(tokens_of(2, 20)) for model in (quantized, widened(original, quantized)))

    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-4)


@many
@given(config=configurations())
def test_no_weight_is_off_by_more_than_half_a_level_and_what_decides_does_not_move(config: ModelConfig) -> None:
    original = built(config)
    reference = dict(widened(original, quantize_int8(original)).named_parameters())

    for name, weight in original.named_parameters():
        stays = weight.dim() == 1 or name.endswith(("router.weight", "confidence.weight", "log_rates"))
        if stays or "convolution" in name:
            assert torch.equal(reference[name], weight), name
        else:
            rows = weight.flatten(1) if weight.shape[-1] == 1 and weight.dim() == 3 else weight
            level = rows.abs().amax(dim=-1, keepdim=True) / 127 * 1.008
            assert ((reference[name].view_as(rows) - rows).abs() <= level * 0.5001).all(), name
            assert not torch.equal(reference[name], weight), name


@many
@given(config=configurations())
@example(config=network("gpt2"))
@torch.inference_mode()
def test_saved_and_loaded_it_answers_the_same(config: ModelConfig) -> None:
    quantized = alike(quantize_int8(built(config)))
    with tempfile.TemporaryDirectory() as folder:
        save_quantized(quantized, Path(folder))
        loaded = alike(open_model(Path(folder)))

    for batch, time in ((2, 20), (1, 1), (2, 3)):  # both kernels
        assert torch.equal(loaded(tokens_of(batch, time)), quantized(tokens_of(batch, time)))


@pytest.mark.parametrize(
    ("name", "model_type"),
    [
        pytest.param(name, model_type, marks=pytest.mark.feature(proved))
        for name, model_type, proved in (
            ("gpt2", "gpt2", "ARCH-11"), ("gemma2", "gemma2", "ARCH-11"), ("qwen3", "qwen3", "ARCH-11"),
            ("mixtral", "mixtral", "ARCH-09"), ("mamba", "mamba", "ARCH-10"), ("routed", "tisslm", "ARCH-15"),
            ("adaptive", "tisslm", "ARCH-12"),
        )
    ],
)  # fmt: skip
def test_the_folder_says_which_network_it_is(name: str, model_type: str, tmp_path: Path) -> None:
    save_quantized(quantize_int8(built(network(name))), tmp_path)

    config = json.loads((tmp_path / "config.json").read_text())

    assert (config["model_type"], config["base_model_type"]) == ("tisslm-int8", model_type)
    assert essential(load_quantized(tmp_path).config) == essential(network(name))


def test_a_folder_of_before_opens_as_a_llama(tmp_path: Path) -> None:
    quantized = quantize_int8(built(network("llama")))
    save_quantized(quantized, tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["base_model_type"]
    path.write_text(json.dumps(config))

    assert torch.equal(load_quantized(tmp_path)(tokens_of(2, 5)), quantized(tokens_of(2, 5)))


def test_a_network_that_nobody_knows_is_refused_in_one_line(tmp_path: Path) -> None:
    save_quantized(quantize_int8(built(network("gpt2"))), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_type": "perceptron"}))

    with pytest.raises(ConfigError, match="model_type 'perceptron', expected 'llama'"):
        load_quantized(tmp_path)


@pytest.mark.parametrize(("name", "rows"), [("mixtral", 4 * 2 * (2 * 24 + 16)), ("conv1", 2 * (24 + 16))])
def test_every_expert_and_every_convolution_of_width_1_has_a_scale_for_each_row(name: str, rows: int) -> None:
    state = quantize_int8(built(network(name))).state_dict()

    found = {key: tensor for key, tensor in state.items() if ".feedforward." in key and key.endswith(".scale")}

    assert sum(tensor.numel() for tensor in found.values()) == rows


def test_what_stays_float32_is_told_with_its_reason() -> None:
    told = why_float32(built(network("routed")))

    assert {row["why"]: row["parts"] for row in told if "near ties" in str(row["why"])} == {
        "decides by near ties which way a token goes; it must not move": "depth.confidence.weight, router.weight"
    }
    assert next(row["numbers"] for row in told if "near ties" in str(row["why"])) == 2 * 16


def test_a_matrix_that_int8_does_not_know_is_named() -> None:
    model = built(network("llama"))
    model.blocks[1].feedforward.gate_up = nn.Bilinear(4, 5, 6, bias=False)

    with pytest.raises(
        ConfigError, match=r"int8 does not know blocks\.1\.feedforward\.gate_up\.weight \(6, 4, 5\) of Bilinear; say"
    ):
        quantize_int8(model)


def test_a_number_too_many_is_named(tmp_path: Path) -> None:
    save_quantized(quantize_int8(built(network("qwen3"))), tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"base_model_type": "llama"}))

    with pytest.raises(CheckpointError, match=r"blocks\.0\.attention\.qk_norm\.(query|key)\.weight belongs to no part"):
        load_quantized(tmp_path)
