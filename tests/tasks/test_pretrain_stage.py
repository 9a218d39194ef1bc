"""The pretraining stage as a user meets it: resumed after a kill, stopped by NaN, out of disk, foreign checkpoints."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

import tasks.pretrain
from model.architecture.config import ModelConfig
from model.architecture.interop import load_model
from model.dataset.shards import ShardWriter
from model.errors import StorageError, TokenizerError, TrainingError
from model.files import sha256_file, write_manifest
from model.training.config import PretrainConfig
from tasks.journal import NullJournal
from tasks.pretrain import pretrain
from tasks.report import StageReport

CONFIG = PretrainConfig(
    model=ModelConfig(n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, d_ff=64, context_length=32, dropout=0.1),
    steps=24,
    batch_sequences=4,
    warmup_steps=4,
    validate_every_steps=6,
    checkpoint_every_steps=5,
    log_every_steps=4,
    validation_tokens=512,
)

# Stops the process for good at a step, as a pulled plug does.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
import tasks.pretrain as stage
from model.training.config import PretrainConfig
from tasks.journal import NullJournal
folder, step = Path(sys.argv[1]), int(sys.argv[2])
real = stage.train
class Kill:
    def after_step(self, run, result):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
stage.train = lambda run, callbacks: real(run, [*callbacks, Kill()])
config = PretrainConfig.model_validate_json((folder / "config.json").read_text())
stage.pretrain(config, folder / "tokens", folder / "tokenizer", folder / "out", folder / "checkpoints", NullJournal())
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = small_tokenizer()
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer")
    for split, numbers in {"train": range(12), "validation": range(12, 15)}.items():
        with ShardWriter(folder / "tokens" / split, tokenizer) as writer:
            for number in numbers:
                text = toy_text(number)
                writer.append(tokenizer.encode(text), len(text.encode()))
    write_manifest(folder / "tokens")
    write_manifest(folder / "tokenizer")
    return folder


@pytest.fixture
def place(inputs: Path, tmp_path: Path) -> Path:
    for name in ("tokens", "tokenizer"):
        shutil.copytree(inputs / name, tmp_path / name)
    (tmp_path / "config.json").write_text(CONFIG.model_dump_json())
    return tmp_path


def run_in(place: Path, config: PretrainConfig = CONFIG, out: str = "out") -> StageReport:
    # as `tasks/stage.py` does, the output is a folder that was not there before
    shutil.rmtree(place / out, ignore_errors=True)
    return pretrain(config, place / "tokens", place / "tokenizer", place / out, place / "checkpoints", NullJournal())


@pytest.fixture(scope="module")
def unbroken(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sha256 of the weights of a run that nothing disturbed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("unbroken")
    pretrain(CONFIG, inputs / "tokens", inputs / "tokenizer", folder / "out", folder / "checkpoints", NullJournal())
    return sha256_file(folder / "out" / "model.safetensors")


@pytest.mark.feature("TRAIN-07")
def test_the_best_model_by_validation_is_written_and_reported(place: Path) -> None:
    report = run_in(place)
    rows = [r for r in report.series["loss"] if r["validation_loss"] != ""]
    assert [r["step"] for r in rows] == [6, 12, 18, 24]
    best = min(rows, key=lambda r: r["validation_loss"])
    assert report.metrics["validation_loss"] == pytest.approx(best["validation_loss"], rel=1e-5)
    assert report.metrics["best_step"] == best["step"]
    assert report.metrics["validation_perplexity"] == pytest.approx(
        torch.tensor(best["validation_loss"]).exp().item(), rel=1e-4
    )
    assert best["validation_loss"] < rows[0]["validation_loss"]
    assert load_model(place / "out").config.vocab_size == small_tokenizer().vocab_size


def test_the_published_folder_opens_in_transformers_with_its_tokenizer(place: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run_in(place)
    tokenizer = AutoTokenizer.from_pretrained(place / "out")
    tokens = torch.tensor([tokenizer.encode("The captain sold the wooden boat")])
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(place / "out")(tokens).logits
        torch.testing.assert_close(load_model(place / "out")(tokens), theirs, atol=1e-4, rtol=0)


@pytest.mark.feature("CKPT-01")
@pytest.mark.parametrize("step", [1, 7, 23])
def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(place: Path, unbroken: str, step: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-c", KILLED_AT, str(place), str(step)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (place / "out" / "model.safetensors").exists()
    report = run_in(place)
    assert sha256_file(place / "out" / "model.safetensors") == unbroken
    assert [row["step"] for row in report.series["throughput"]] == [4, 8, 12, 16, 20, 24]


def test_a_run_asked_to_stop_writes_a_checkpoint_and_goes_on_from_it(place: Path, unbroken: str) -> None:
    code = KILLED_AT.replace("signal.SIGKILL", "signal.SIGTERM")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    stopped = subprocess.run(
        [sys.executable, "-c", code, str(place), "8"], env=environment, check=False, capture_output=True, text=True
    )
    assert "KeyboardInterrupt" in stopped.stderr
    states = [json.loads(p.read_text()) for p in (place / "checkpoints").glob("step-*/state.json")]
    assert max(s["step"] for s in states) in {8, 9}
    run_in(place)
    assert sha256_file(place / "out" / "model.safetensors") == unbroken


@pytest.mark.parametrize("change", [{"learning_rate": 0.001}, {"seed": 1}])
def test_checkpoints_of_another_run_are_not_used(place: Path, change: dict[str, float]) -> None:
    run_in(place)
    other = CONFIG.model_copy(update=change)
    run_in(place, other)
    with_leftovers = sha256_file(place / "out" / "model.safetensors")
    shutil.rmtree(place / "checkpoints")
    run_in(place, other)
    assert sha256_file(place / "out" / "model.safetensors") == with_leftovers


def test_nan_stops_the_run_and_no_checkpoint_holds_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tasks.pretrain.train

    class Poison:
        def after_step(self, run: object, result: object) -> None:
            if run.step == 12:  # type: ignore[attr-defined]
                with torch.no_grad():
                    run.model.norm.weight[0] = float("nan")  # type: ignore[attr-defined]

    monkeypatch.setattr(tasks.pretrain, "train", lambda run, callbacks: real(run, [*callbacks, Poison()]))
    with pytest.raises(TrainingError, match="step 13: loss is nan"):
        run_in(place)
    assert not (place / "out").exists()
    from safetensors.torch import load_file

    weights = list((place / "checkpoints").glob("*/model.safetensors"))
    assert weights
    assert all(t.isfinite().all() for path in weights for t in load_file(path).values())


def test_a_full_disk_is_one_line_and_the_rerun_succeeds(place: Path, unbroken: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    child = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, {hard}))
{KILLED_AT.replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")}
"""
    failed = subprocess.run(
        [sys.executable, "-c", child, str(place), "0"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert failed.returncode != 0
    assert f"{StorageError.__name__}" in failed.stderr
    assert "failed, File too large" in failed.stderr
    run_in(place)
    assert sha256_file(place / "out" / "model.safetensors") == unbroken


def test_tokens_of_another_tokenizer_are_refused(place: Path) -> None:
    shutil.rmtree(place / "tokenizer")
    (place / "tokenizer").mkdir()
    small_tokenizer(vocab_size=500).save(place / "tokenizer")
    write_manifest(place / "tokenizer")
    with pytest.raises(TokenizerError, match="another tokenizer"):
        run_in(place)


def test_a_corpus_shorter_than_one_window_is_refused(place: Path) -> None:
    long = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"context_length": 100_000})})
    with pytest.raises(TrainingError, match=r"expected at least context_length \+ 1 = 100,001"):
        run_in(place, long)
