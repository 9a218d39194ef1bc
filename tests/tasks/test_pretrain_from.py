"""Pretraining that starts from a model that exists: ours, one of others, or one that does not fit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import load_model, save_model
from model.architecture.interop.importing import import_model
from model.dataset.shards import ShardWriter, TokenDataset
from model.errors import ConfigError, IntegrityError, TokenizerError
from model.files import folder_digest, sha256_file, write_manifest
from model.tokenizer.tokenizer import Tokenizer
from model.training.config import PretrainConfig
from model.training.validation import validation_loss
from tasks.journal import NullJournal
from tasks.pretrain import pretrain
from tasks.report import StageReport

pytestmark = pytest.mark.feature("TRAIN-01", "ARCH-11")

CONFIG = PretrainConfig(
    model=ModelConfig(n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, d_ff=64, context_length=32),
    steps=12, batch_sequences=4, warmup_steps=4, validate_every_steps=6, checkpoint_every_steps=5, log_every_steps=4,
    validation_tokens=512, dtype="fp32",
)  # fmt: skip
KILLED_AT_7 = """
import os, signal, sys
from pathlib import Path
import tasks.pretrain as stage
from model.training.config import PretrainConfig
from tasks.journal import NullJournal
folder = Path(sys.argv[1])
real = stage.train
class Kill:
    def after_step(self, run, result):
        if run.step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
stage.train = lambda run, callbacks: real(run, [*callbacks, Kill()])
config = PretrainConfig.model_validate_json((folder / "config.json").read_text())
names = ("tokens", "tokenizer", "out", "checkpoints")
stage.pretrain(config, *(folder / name for name in names), NullJournal(), root=folder)
"""


def write_tokens(folder: Path, tokenizer: Tokenizer) -> None:
    for split, numbers in {"train": range(12), "validation": range(12, 15)}.items():
        with ShardWriter(folder / "tokens" / split, tokenizer) as writer:
            for number in numbers:
                text = toy_text(number)
                writer.append(tokenizer.encode(text), len(text.encode()))
    write_manifest(folder / "tokens")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageReport]:
    """A workspace whose `start` is a model that this stage trained."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tokenizer").mkdir()
    small_tokenizer().save(folder / "tokenizer")
    write_manifest(folder / "tokenizer")
    write_tokens(folder, small_tokenizer())
    report = run_in(folder, CONFIG)
    (folder / "out").rename(folder / "start")
    write_manifest(folder / "start")
    shutil.rmtree(folder / "checkpoints")
    return folder, report


@pytest.fixture
def place(trained: tuple[Path, StageReport], tmp_path: Path) -> Path:
    for name in ("tokens", "tokenizer", "start"):
        shutil.copytree(trained[0] / name, tmp_path / name)
    return tmp_path


def run_in(place: Path, config: PretrainConfig) -> StageReport:
    shutil.rmtree(place / "out", ignore_errors=True)
    folders = [place / name for name in ("tokens", "tokenizer", "out", "checkpoints")]
    return pretrain(config, *folders, NullJournal(), root=place)


def continued(**model: Any) -> PretrainConfig:
    values = CONFIG.model_dump(mode="json")
    return PretrainConfig.model_validate(values | {"from": "start", "model": values["model"] | model})


def test_step_0_has_the_loss_of_the_model_that_it_starts_from(place: Path, trained: tuple[Path, StageReport]) -> None:
    report = run_in(place, continued())
    first = report.series["loss"][0]
    assert first["step"] == 0
    assert first["validation_loss"] == pytest.approx(trained[1].metrics["validation_loss"], rel=1e-5)
    start = report.facts["from"]
    assert start == {
        "model": "start", "digest": folder_digest(place / "start"), "validation_loss": first["validation_loss"],
    }  # fmt: skip
    assert report.metrics["validation_loss"] < first["validation_loss"]


@pytest.mark.slow
@pytest.mark.feature("CKPT-01")
def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(place: Path) -> None:
    (place / "config.json").write_text(continued().model_dump_json())
    unbroken = run_in(place, continued())
    weights = sha256_file(place / "out" / "model.safetensors")
    shutil.rmtree(place / "checkpoints")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_7, str(place)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert run_in(place, continued()).facts == unbroken.facts
    assert sha256_file(place / "out" / "model.safetensors") == weights


def test_checkpoints_of_another_starting_point_are_not_used(place: Path) -> None:
    run_in(place, continued())
    model = load_model(place / "start")
    initialize(model, torch.Generator().manual_seed(9))
    save_model(model, place / "start")
    write_manifest(place / "start")
    report = run_in(place, continued())
    assert report.series["loss"][0]["validation_loss"] == pytest.approx(
        validation_loss(model, TokenDataset.open(place / "tokens", "validation"), max_tokens=512, batch_sequences=4),
        rel=1e-4,
    )


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"n_layers": 3}, r"n_layers 3, there 2; take its values \(tisslm run --set pretrain.model.n_layers=2\)"),
        ({"feedforward": {"kind": "geglu"}}, "feedforward.kind geglu, there swiglu"),
        ({"d_ff": 96, "tie_embeddings": False}, "d_ff 96, there 64; tie_embeddings False, there True"),
        ({"experts": {"n_experts": 4}}, r"experts \{.*\}, there None"),
        ({"rope_theta": 500000.0}, "rope_theta 500000.0, there 10000.0"),
    ],
)
def test_another_network_is_refused_with_the_fields_and_both_values(
    place: Path, model: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^pretrain.from: .*start is another network than pretrain.model: {told}"):
        run_in(place, continued(**model))


@pytest.mark.parametrize(
    "model",
    [
        {"dropout": 0.1},
        {"context_length": 64, "position": {"scaling": {"kind": "linear", "factor": 2}}},
        {"attention": {"pattern": "LL"}, "head_dim": 16},
    ],
)
def test_what_training_alone_knows_may_differ(place: Path, model: dict[str, Any]) -> None:
    assert run_in(place, continued(**model)).metrics["steps"] == 12


def test_another_tokenizer_is_refused(place: Path) -> None:
    other = small_tokenizer(vocab_size=500)
    other.save(place / "tokenizer")
    write_manifest(place / "tokenizer")
    shutil.rmtree(place / "tokens")
    write_tokens(place, other)
    with pytest.raises(
        TokenizerError, match=r"pretrain.from: .*500 ids\) than that of .*600 ids\).*set tokenizer.from"
    ):
        run_in(place, continued())
    (place / "start" / "tokenizer.json").unlink()
    write_manifest(place / "start")
    assert run_in(place, continued()).metrics["steps"] == 12  # a larger table than the tokenizer is no harm


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("nowhere", ConfigError, "pretrain.from: nowhere: no such folder"),
        ("start/config.json", ConfigError, "is a file; import it first: tisslm model import"),
        ("registry:champion", ConfigError, "expected the number of a version, because an alias moves"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(place: Path, name: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        run_in(place, continued().model_copy(update={"from_model": name}))


def test_a_changed_byte_in_the_starting_point_is_found(place: Path) -> None:
    path = place / "start" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="its bytes changed"):
        run_in(place, continued())


def test_a_model_of_others_goes_in_and_comes_out_with_its_tokenizer(tmp_path: Path) -> None:
    """A GPT-2 of `transformers` with a vocabulary larger than its tokenizer, end of text as its only control token."""
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    own = small_tokenizer()
    content = json.loads(own.content)
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<|pad|>"]
    torch.manual_seed(0)
    shape = GPT2Config(vocab_size=608, n_layer=2, n_embd=32, n_head=2, n_positions=32, n_inner=64)
    theirs = GPT2LMHeadModel(shape).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "theirs" / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    import_model(tmp_path / "theirs", tmp_path / "start")
    shutil.copytree(tmp_path / "start", tmp_path / "tokenizer")
    tokenizer = Tokenizer.open(tmp_path / "tokenizer")
    assert tokenizer.pad_id == tokenizer.end_of_text_id == own.end_of_text_id
    write_tokens(tmp_path, tokenizer)
    gpt2 = {
        "n_layers": 2, "d_model": 32, "n_heads": 2, "n_kv_heads": 2, "d_ff": 64, "context_length": 32,
        "norm": {"kind": "layer"}, "position": {"kind": "learned"}, "attention": {"bias": "all"},
        "feedforward": {"kind": "gelu_tanh", "bias": True},
    }  # fmt: skip
    report = run_in(tmp_path, PretrainConfig.model_validate(CONFIG.model_dump() | {"from": "start", "model": gpt2}))
    assert report.facts["from"]["validation_loss"] > report.metrics["validation_loss"]
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert opened.config.vocab_size == 608
    tokens = torch.tensor([tokenizer.encode("The captain sold the wooden boat")])
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "out")(tokens), opened(tokens).logits, atol=1e-4, rtol=0)


@pytest.mark.feature("ARCH-09", "ARCH-15")
def test_loads_of_experts_and_shares_of_routed_layers_are_logged(place: Path) -> None:
    parts = {"experts": {"n_experts": 4, "top_k": 2}, "depth": {"pattern": "FR", "exit_every": 1}}
    config = PretrainConfig.model_validate(CONFIG.model_dump() | {"model": CONFIG.model.model_dump() | parts})
    journal = NullJournal()
    pretrain(config, *(place / name for name in ("tokens", "tokenizer", "out", "checkpoints")), journal)
    logged = [event["values"] for event in journal.events if "depth/layers_used" in event.get("values", {})]
    assert len(logged) == 3
    assert logged[-1]["depth/layers_used"] == 2
    assert 0 < logged[-1]["depth/blocks.1"] < 1
    name = "experts/blocks.0.feedforward"
    assert 0 <= logged[-1][f"{name}/smallest_share"] <= 0.5 <= logged[-1][f"{name}/largest_share"] <= 1
    assert load_model(place / "out").config.depth.exit_every == 1


def test_the_weights_begin_as_those_of_the_model(place: Path) -> None:
    from tasks.existing_model import find_model
    from tasks.pretrain import build_network

    start = find_model("pretrain.from", "start", place)
    network: Decoder = build_network(continued(), small_tokenizer(), start)
    for name, tensor in load_model(place / "start").state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
