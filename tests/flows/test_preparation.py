"""Parameters are edited and checked before anything runs: a start that does not fit is found at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from workspaces import REPOSITORY

from flows.preparation import apply_parameters
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import save_model
from model.corpus.sources import PathSource, UrlSource
from model.errors import ConfigError, TissLMError
from tasks.params import read_params
from tasks.params_edit import parse_assignments

pytestmark = pytest.mark.feature("PIPE-07", "ARCH-11")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Parameters, the graph, and a small model of two layers."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    network = Decoder(ModelConfig(vocab_size=64, n_layers=2, d_model=32, n_heads=2, n_kv_heads=2, d_ff=48))
    initialize(network, torch.Generator().manual_seed(0))
    save_model(network, tmp_path / "start")
    return tmp_path


def test_a_start_that_is_another_network_is_refused_and_the_file_is_as_it_was(workspace: Path) -> None:
    before, said = (workspace / "params.yaml").read_bytes(), []
    with pytest.raises(ConfigError, match=r"another network than pretrain\.model: n_layers 4, there 2"):
        apply_parameters(workspace, None, {"pretrain.from": "start"}, said.append)
    assert (workspace / "params.yaml").read_bytes() == before
    assert said == []
    with pytest.raises(ConfigError, match="no such folder"):
        apply_parameters(workspace, None, {"pretrain.from": "nowhere"}, said.append)
    assert (workspace / "params.yaml").read_bytes() == before


def test_a_start_that_fits_is_taken_and_watched(workspace: Path) -> None:
    said: list[str] = []
    shape = {"n_layers": 2, "d_model": 32, "n_heads": 2, "n_kv_heads": 2, "d_ff": 48}
    overrides = {f"pretrain.model.{name}": value for name, value in shape.items()} | {"pretrain.from": "start"}
    apply_parameters(workspace, None, overrides, said.append)
    assert any(line.startswith("params.yaml: pretrain.from") for line in said)
    assert "- start" in (workspace / "dvc.yaml").read_text()


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("nowhere/", "nowhere/: no such file or folder"),
        (["texts/", "nowhere/"], "nowhere/: no such file or folder"),
        ([{"path": "texts/", "glob": "*.md"}], "no file matches"),
        ([{"package": "no_such_package"}], "no_such_package"),
        ([], "expected at least one source, like my-texts/"),
    ],
)
def test_sources_without_texts_are_refused_before_any_file_is_edited(
    workspace: Path, sources: object, message: str
) -> None:
    (workspace / "texts").mkdir()
    (workspace / "texts" / "a.txt").write_text("text")
    before = [(workspace / name).read_bytes() for name in ("params.yaml", "dvc.yaml")]
    with pytest.raises(TissLMError, match=message):
        apply_parameters(workspace, None, {"ingest.sources": sources}, lambda line: None)
    assert [(workspace / name).read_bytes() for name in ("params.yaml", "dvc.yaml")] == before


@pytest.mark.parametrize("written", ["texts/", "[texts/, https://host.example/a.txt]", "{path: texts/}"])
def test_a_bare_path_or_address_is_a_source(workspace: Path, written: str) -> None:
    (workspace / "texts").mkdir()
    (workspace / "texts" / "a.txt").write_text("text")
    apply_parameters(workspace, None, parse_assignments([f"ingest.sources={written}"]), lambda line: None)
    first, *rest = read_params(workspace / "params.yaml").ingest.sources
    assert isinstance(first, PathSource)
    assert first.path == "texts/"
    assert [type(source) for source in rest] == [UrlSource] * ("https" in written)
    assert "- texts" in (workspace / "dvc.yaml").read_text()
