"""What training needs at its end, tried before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from configurations import VOCABULARY, configurations, tokens_of
from hypothesis import HealthCheck, given, settings
from small_tokenizers import small_tokenizer

import model.architecture.interop.families as families
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import SpecialIds, load_model, published_name
from model.errors import StorageError, TrainingError
from model.training.config import PretrainConfig
from model.training.optimizers import build_optimizers
from model.training.rehearsal import check_disk, rehearse_end, write_model

IDS = SpecialIds()
SMALL = ModelConfig(vocab_size=VOCABULARY, n_layers=2, d_model=16, n_heads=2, n_kv_heads=2, d_ff=24, context_length=16)
GEMMA = {
    "norm": {"placement": "sandwich"},
    "feedforward": {"kind": "geglu_tanh"},
    "embedding": {"scale": "sqrt_width"},
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    small_tokenizer().save(folder)
    return folder


def built(config: ModelConfig) -> Decoder:
    network = Decoder(config.model_copy(update={"vocab_size": small_tokenizer().vocab_size}))
    initialize(network, torch.Generator().manual_seed(0))
    return network.eval()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(config=configurations())
def test_what_passes_the_rehearsal_is_saved_and_opened_after_training(
    config: ModelConfig, tokenizer: Path, tmp_path: Path
) -> None:
    network = built(config)
    rehearse_end(network, tokenizer, tmp_path / "out", IDS)
    assert not (tmp_path / "out").exists()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.01)
    write_model(network, tokenizer, tmp_path / "model", IDS)
    ids_BT = tokens_of(2, 9)
    torch.testing.assert_close(load_model(tmp_path / "model")(ids_BT), network(ids_BT), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [2.0, 1e-3, 1e-200, 0.25, 0.4, 1e30])
def test_every_scale_of_scores_finds_a_layout_that_says_it(tokenizer: Path, tmp_path: Path, scale: float) -> None:
    values = SMALL.model_dump() | GEMMA | {"attention": {"scale": scale}}
    network = built(ModelConfig.model_validate(values))
    rehearse_end(network, tokenizer, tmp_path / "out", IDS)
    write_model(network, tokenizer, tmp_path / "model", IDS)
    assert load_model(tmp_path / "model").config.attention.scale == scale
    is_gemma = scale in {0.25, 1e-3}  # 16 ** -0.5 and 1e6 ** -0.5: Gemma's file holds a whole number
    assert (published_name(network.config) == "Gemma2ForCausalLM") == is_gemma


@pytest.fixture
def broken_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family that forgets the first bias or norm of a network, as a slip in a list of pieces would."""
    real = families.llama.pieces

    def without_one(config: ModelConfig) -> list[object]:
        return [piece for piece in real(config) if not piece.ours.endswith("attention_norm.weight")]

    monkeypatch.setattr(families.llama, "pieces", without_one)


@pytest.mark.usefixtures("broken_layout")
def test_a_network_that_cannot_be_opened_again_is_refused_in_one_line(tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"could not be saved and opened again .*nothing was trained") as caught:
        rehearse_end(built(SMALL), tokenizer, tmp_path / "out", IDS)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_network_that_computes_something_else_when_opened_again_is_refused(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = families.llama.to_published
    monkeypatch.setattr(families.llama, "to_published", lambda c: real(c) | {"rope_theta": 5.0, "rope_parameters": {}})
    monkeypatch.setattr(families, "essential", lambda c: c.model_copy(update={"rope_theta": 1e4}))
    with pytest.raises(TrainingError, match=r"computes something else .logits differ by"):
        rehearse_end(built(SMALL), tokenizer, tmp_path / "out", IDS)


def test_the_rehearsal_leaves_the_network_as_it_was(tokenizer: Path, tmp_path: Path) -> None:
    network = built(SMALL).train()
    network.compute_dtype = torch.bfloat16
    before = {name: p.clone() for name, p in network.named_parameters()}
    state = torch.get_rng_state()
    rehearse_end(network, tokenizer, tmp_path, IDS)
    assert network.training
    assert network.compute_dtype is torch.bfloat16
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in network.named_parameters())
    assert list(tmp_path.iterdir()) == []


def test_more_checkpoints_than_the_disk_holds_are_refused_with_both_numbers(tmp_path: Path) -> None:
    network = built(SMALL)
    optimizers = build_optimizers(network, PretrainConfig(model=SMALL.model_copy(update={"vocab_size": None})))
    check_disk(network, optimizers, 2, tmp_path / "checkpoints")
    with pytest.raises(StorageError, match=r"needs [\d,]{15,} bytes for .* and [\d,]+ are free"):
        check_disk(network, optimizers, 10**12, tmp_path / "checkpoints")
