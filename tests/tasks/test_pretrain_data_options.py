"""Mixtures, packing and curricula in the pretraining stage: killed and resumed bit for bit, and reported."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_tokenizers import small_tokenizer
from test_pretrain_stage import CONFIG, KILLED_AT, run_in
from toy_texts import toy_text

from model.dataset.config import DataConfig
from model.dataset.shards import ShardWriter
from model.errors import ConfigError
from model.files import sha256_file, write_manifest
from model.training.config import PretrainConfig
from tasks.journal import NullJournal
from tasks.pretrain import pretrain

STAGES = [{"until": 0.4, "context_length": 8}, {"until": 1, "context_length": 32}]
OPTIONS = {
    "temperature-blocked": {
        "mixture": {"strategy": "temperature", "temperature": 3.0},
        "packing": {"borders": "block"},
        "validation_by": "language",
    },
    "unimax-packed-staged": {
        "mixture": {"strategy": "unimax", "by": "source_language", "max_epochs": 1.5},
        "packing": {"documents": "best_fit", "borders": "attention"},
        "order": "staged",
        "stages": STAGES,
    },
    "weights-short-first": {
        "mixture": {"strategy": "weights", "weights": {"a": 3, "*": 1}},
        "order": "short_first",
        "validation_by": "source",
    },
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = small_tokenizer()
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer")
    for split, numbers in {"train": range(16), "validation": range(16, 22)}.items():
        with ShardWriter(folder / "tokens" / split, tokenizer) as writer:
            for number in numbers:
                text = toy_text(number, sentences=2 + number % 7)
                source, language = ("a", "b")[number % 3 == 0], ("en", "fr")[number % 4 == 0]
                writer.append(tokenizer.encode(text), len(text.encode()), source, language)
    write_manifest(folder / "tokens")
    write_manifest(folder / "tokenizer")
    return folder


def place_with(inputs: Path, place: Path, options: dict[str, object]) -> PretrainConfig:
    for name in ("tokens", "tokenizer"):
        shutil.copytree(inputs / name, place / name)
    config = CONFIG.model_copy(update={"data": DataConfig.model_validate(options)})
    (place / "config.json").write_text(config.model_dump_json())
    return config


@pytest.mark.slow
@pytest.mark.feature("CORP-07", "CORP-14", "CORP-15", "CKPT-01")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_run_killed_twice_ends_with_the_bytes_and_the_report_of_an_unbroken_one(
    inputs: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    torch.set_num_threads(1)
    config = place_with(inputs, tmp_path, options)
    unbroken = run_in(tmp_path, config)
    weights = sha256_file(tmp_path / "out" / "model.safetensors")
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(tmp_path / "checkpoints")
    for step in (7, 16):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_AT, str(tmp_path), str(step)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
    report = run_in(tmp_path, config)
    assert sha256_file(tmp_path / "out" / "model.safetensors") == weights
    assert report.series["mixture"] == unbroken.series["mixture"]
    assert report.tables == unbroken.tables
    assert report.facts == unbroken.facts


@pytest.mark.feature("CORP-07", "CORP-06")
def test_the_realised_mixture_is_in_the_journal_and_in_the_report(inputs: Path, tmp_path: Path) -> None:
    config = place_with(inputs, tmp_path, OPTIONS["temperature-blocked"])
    journal = NullJournal()
    folders = (tmp_path / name for name in ("tokens", "tokenizer", "out", "checkpoints"))
    report = pretrain(config, *folders, journal)
    rows = report.tables["Mixture"]
    assert {(row["source"], row["language"]) for row in rows} == {("a", "en"), ("a", "fr"), ("b", "en"), ("b", "fr")}
    assert sum(row["tokens_seen"] for row in rows) == report.metrics["tokens"] == 24 * 4 * 32
    seen = {language: sum(r["seen"] for r in rows if r["language"] == language) for language in ("en", "fr")}
    asked = {language: sum(r["asked"] for r in rows if r["language"] == language) for language in ("en", "fr")}
    share = {language: sum(r["share"] for r in rows if r["language"] == language) for language in ("en", "fr")}
    powers = {language: share[language] ** (1 / 3) for language in share}
    for language in ("en", "fr"):
        assert asked[language] == pytest.approx(powers[language] / sum(powers.values()), abs=1e-4)
        assert seen[language] == pytest.approx(asked[language], abs=0.02)
    assert [row["step"] for row in report.series["mixture"]] == [4, 8, 12, 16, 20, 24]
    logged = [event for event in journal.events if "mixture/a/en/tokens" in event.get("values", {})]
    assert [event["step"] for event in logged] == [4, 8, 12, 16, 20, 24]
    last = logged[-1]["values"]
    for row in rows:
        name = f"mixture/{row['source']}/{row['language']}"
        assert last[f"{name}/tokens"] == row["tokens_seen"]
        assert last[f"{name}/epochs"] == pytest.approx(row["tokens_seen"] / row["tokens"])
    assert {row["group"] for row in report.tables["Validation loss by group"]} == {"en", "fr"}
    assert any("validation_loss/fr" in event.get("values", {}) for event in journal.events)


@pytest.mark.feature("CORP-15")
def test_best_fit_reports_how_full_its_windows_are_and_how_few_documents_it_cuts(inputs: Path, tmp_path: Path) -> None:
    config = place_with(inputs, tmp_path, OPTIONS["unimax-packed-staged"])
    packing = run_in(tmp_path, config).facts["packing"]
    assert 0.9 < packing["utilisation"] <= 1
    assert packing["cut_when_packed"] <= packing["cut_when_joined"] <= packing["documents"] == 16


def test_a_mixture_of_sources_that_are_not_there_is_refused_before_anything_is_trained(
    inputs: Path, tmp_path: Path
) -> None:
    config = place_with(inputs, tmp_path, {"mixture": {"strategy": "weights", "weights": {"wiki": 1, "*": 1}}})
    with pytest.raises(ConfigError, match=r"'wiki': no such source in the tokens, expected of: a, b|b, a"):
        run_in(tmp_path, config)
    assert not list((tmp_path / "checkpoints").glob("step-*"))
