"""`tisslm model`: what a person sees of a network before it is built, and of a model that comes from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import cli.model
from model.architecture.config import ModelConfig
from model.architecture.config.sizes import num_params
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import load_model, save_model
from model.errors import TissLMError

SMALL = ModelConfig(vocab_size=30, n_layers=2, d_model=16, n_heads=2, n_kv_heads=1, d_ff=24, context_length=16)


@pytest.fixture
def app() -> typer.Typer:
    found = typer.Typer()
    cli.model.register(found)
    found.callback()(lambda: None)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = Decoder(SMALL)
    initialize(network, torch.Generator().manual_seed(0))
    save_model(network, tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text("{}")
    return tmp_path / "theirs"


def test_describe_shows_the_figure_the_layers_and_what_fits(app: typer.Typer, folder: Path) -> None:
    done = CliRunner().invoke(app, ["model", "describe", str(folder), "--memory-gb", "0.00001"])
    assert done.exit_code == 0, done.output
    for part in ("full attention, 2 heads of 8 on 1", "does it fit 0.0 GB?", f"{num_params(SMALL):,}", "no"):
        assert part in done.output


def test_describe_as_json_has_exact_figures(app: typer.Typer, folder: Path) -> None:
    done = CliRunner().invoke(app, ["model", "describe", str(folder / "config.json"), "--json"])
    told = json.loads(done.output)
    assert told["figures"]["parameters"] == num_params(SMALL)
    assert all(need["fits"] for need in told["needs"])


def test_import_writes_a_folder_that_opens_with_the_tokenizer(app: typer.Typer, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours"
    done = CliRunner().invoke(app, ["model", "import", str(folder), str(out)])
    assert done.exit_code == 0, done.output
    assert "LlamaForCausalLM" in done.output
    assert torch.equal(load_model(out).embedding.weight, load_model(folder).embedding.weight)
    assert (out / "tokenizer.json").read_text() == "{}"
    again = CliRunner().invoke(app, ["model", "import", str(folder), str(out)])
    assert isinstance(again.exception, TissLMError)
    assert "exists already" in str(again.exception)
