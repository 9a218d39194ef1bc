"""A whole decoder in int8: close to the original, a quarter of its size, the same after a trip to disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import load_model, save_model
from model.compression.quantize import quantize_int8
from model.compression.storage import load_quantized, save_quantized
from model.errors import CheckpointError, ConfigError, IntegrityError
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("COMP-01")


def decoder(tied: bool = True, d_model: int = 64) -> Decoder:
    shape = {"n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 160, "context_length": 32}
    model = Decoder(ModelConfig(vocab_size=500, d_model=d_model, tie_embeddings=tied, **shape))
    initialize(model, torch.Generator().manual_seed(0), std=0.2)
    return model.eval()


def tokens(batch: int = 3, time: int = 20) -> torch.Tensor:
    return torch.randint(0, 500, (batch, time), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tied", [True, False])
@torch.inference_mode()
def test_predictions_stay_close_and_the_original_is_untouched(tied):
    original = decoder(tied)
    before = {name: weight.clone() for name, weight in original.state_dict().items()}

    quantized = quantize_int8(original)

    expected, got = (m(tokens()).log_softmax(-1) for m in (original, quantized))
    divergence = (expected.exp() * (expected - got)).sum(-1).mean()
    assert divergence.item() < 0.01
    assert all(torch.equal(weight, before[name]) for name, weight in original.state_dict().items())
    assert all(parameter.dtype == torch.float32 for parameter in original.parameters())


@torch.inference_mode()
def test_it_computes_what_the_rounded_weights_say():
    original = decoder()
    quantized = quantize_int8(original)
    rounded = decoder()
    rounded.load_state_dict(
        {
            name: quantized.state_dict()[name].float()
            * quantized.state_dict()[name.replace("weight", "scale")][:, None]
            if weight.dim() == 2
            else weight
            for name, weight in original.state_dict().items()
        }
    )

    torch.testing.assert_close(quantized(tokens()), rounded(tokens()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
@torch.inference_mode()
def test_saved_and_loaded_it_answers_the_same(tmp_path, tied):
    quantized = quantize_int8(decoder(tied))

    save_quantized(quantized, tmp_path)
    loaded = load_quantized(tmp_path)

    assert loaded.config == quantized.config
    for batch, time in ((3, 20), (1, 1), (4, 2)):  # both kernels
        assert torch.equal(loaded(tokens(batch, time)), quantized(tokens(batch, time)))


def test_a_tied_head_shares_the_embeddings_int8_rows(tmp_path):
    save_quantized(quantize_int8(decoder()), tmp_path)

    loaded = load_quantized(tmp_path)

    assert loaded.head.weight.data_ptr() == loaded.embedding.weight.data_ptr()
    assert loaded.head.weight.dtype == torch.int8


@pytest.mark.parametrize("tied", [True, False])
def test_every_matrix_is_int8_on_disk_and_in_memory(tmp_path, tied):
    model = decoder(tied, d_model=128)
    save_model(model, tmp_path / "float32")

    save_quantized(quantize_int8(model), tmp_path / "int8")

    with safe_open(tmp_path / "int8" / "model.safetensors", "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert all(tensor.dtype == torch.int8 for tensor in stored.values() if tensor.dim() == 2)
    assert {tensor.dim() for tensor in stored.values() if tensor.dtype != torch.int8} == {1}
    assert sum(tensor.dim() == 2 for tensor in stored.values()) == 2 * 4 + (1 if tied else 2)
    state = load_quantized(tmp_path / "int8").state_dict()
    assert all(tensor.dtype == torch.int8 for tensor in state.values() if tensor.dim() == 2)
    sizes = {name: (tmp_path / name / "model.safetensors").stat().st_size for name in ("float32", "int8")}
    assert 0.25 <= sizes["int8"] / sizes["float32"] < 0.29


@pytest.mark.parametrize(
    "d_model", [64, 56, 40]
)  # 40 and 56 are no multiples of 16: the packed kernel cannot have them
@torch.inference_mode()
def test_token_by_token_with_a_cache_follows_the_whole_pass(tmp_path, d_model):
    save_quantized(quantize_int8(decoder(d_model=d_model)), tmp_path)
    loaded = load_quantized(tmp_path)
    cache = StaticCache(loaded.config.n_layers, 20)

    steps = [loaded(tokens()[:, t : t + 1], cache=cache) for t in range(20)]

    whole = loaded(tokens())
    assert ((torch.cat(steps, dim=1) - whole).norm() / whole.norm()).item() < 0.02


def test_other_programs_refuse_the_integers(tmp_path):
    save_quantized(quantize_int8(decoder()), tmp_path)

    with pytest.raises(ConfigError, match="model_type 'tisslm-int8', expected 'llama'"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="tisslm-int8"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


def test_saving_a_float_model_as_int8_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no int8 weights; call quantize_int8 first"):
        save_quantized(decoder(), tmp_path)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_quantized(quantize_int8(decoder()), tmp_path)
    return tmp_path


def test_a_plain_model_folder_is_refused(tmp_path):
    save_model(decoder(), tmp_path)

    with pytest.raises(ConfigError, match="expected 'tisslm-int8' with"):
        load_quantized(tmp_path)


def test_a_missing_config_or_weights_file_is_named(stored):
    (stored / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        load_quantized(stored)
    (stored / "config.json").unlink()
    with pytest.raises(IntegrityError, match=r"config\.json: no such file"):
        load_quantized(stored)


def test_damaged_weights_are_one_line(stored):
    (stored / "model.safetensors").write_bytes(b"\x00" * 100)

    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: damaged \(.*\); run `tisslm verify --repair`"
    ) as caught:
        load_quantized(stored)
    assert "\n" not in str(caught.value)


def test_a_config_of_another_shape_names_the_tensor(stored):
    config = json.loads((stored / "config.json").read_text())
    (stored / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))

    with pytest.raises(
        CheckpointError, match=r"blocks\.2\.attention_norm\.weight is missing, expected float32 \(64,\)"
    ):
        load_quantized(stored)
    (stored / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    with pytest.raises(
        CheckpointError, match=r"gate_up\.weight is int8 of shape \(320, 64\), expected int8 \(192, 64\)"
    ):
        load_quantized(stored)
