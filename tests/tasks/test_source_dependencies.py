"""DVC watches the local texts that ingest.sources names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from model.errors import ConfigError
from tasks.params import Params
from tasks.source_dependencies import MARK, sync_source_dependencies

pytestmark = pytest.mark.feature("CORP-03")

PIPELINE = """\
# The graph.
stages:
  ingest:
    cmd: python -m tasks ingest
    params: [ingest]
    deps:
      - model/corpus
      - tasks/ingest.py # the stage
    outs:
      - data/raw
"""


def with_sources(*paths: str) -> Params:
    return Params.model_validate({"ingest": {"sources": [{"path": p, "name": f"n{i}"} for i, p in enumerate(paths)]}})


def dependencies(root: Path) -> list[str]:
    found: list[str] = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["ingest"]["deps"]
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    for name in ("texts", "more texts"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_paths_come_and_go_and_the_rest_of_the_file_stays(root: Path) -> None:
    told = sync_source_dependencies(root, with_sources("texts/", "./more texts"))
    assert dependencies(root) == ["model/corpus", "tasks/ingest.py", "texts", "more texts"]
    assert told[0] == "dvc.yaml: ingest now depends on texts (ingest.sources)"
    assert (root / "dvc.yaml").read_text(encoding="utf-8").count(MARK) == 2

    sync_source_dependencies(root, with_sources("more texts"))
    assert dependencies(root) == ["model/corpus", "tasks/ingest.py", "more texts"]

    sync_source_dependencies(root, Params())
    assert (root / "dvc.yaml").read_text(encoding="utf-8") == PIPELINE


def test_nothing_to_do_writes_nothing(root: Path) -> None:
    sync_source_dependencies(root, with_sources("texts"))
    written = (root / "dvc.yaml").stat().st_mtime_ns
    assert sync_source_dependencies(root, with_sources("texts")) == []
    assert (root / "dvc.yaml").stat().st_mtime_ns == written


def test_a_path_that_does_not_exist_is_left_to_the_stage_and_an_entry_of_the_user_is_left_alone(root: Path) -> None:
    assert sync_source_dependencies(root, with_sources("nowhere")) == []
    (root / "model").mkdir()
    (root / "model" / "corpus").mkdir()
    assert sync_source_dependencies(root, with_sources("model/corpus")) == []
    assert dependencies(root) == ["model/corpus", "tasks/ingest.py"]


@pytest.mark.feature("CORP-19")
def test_benchmarks_and_reference_sets_are_watched_by_stage_clean(root: Path) -> None:
    with open(root / "dvc.yaml", "a", encoding="utf-8") as file:
        file.write("  clean:\n    cmd: python -m tasks clean\n    deps:\n      - data/raw\n")
    clean = {"contamination": {"benchmarks": [{"path": "texts"}]}, "deduplicate_against": [{"path": "more texts"}]}
    told = sync_source_dependencies(root, Params.model_validate({"clean": clean}))
    written = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert written["clean"]["deps"] == ["data/raw", "more texts", "texts"]
    assert told == ["dvc.yaml: clean now depends on more texts (clean)", "dvc.yaml: clean now depends on texts (clean)"]
    assert sync_source_dependencies(root, Params()) != []
    assert yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["clean"]["deps"] == ["data/raw"]


def test_models_to_start_from_are_watched_and_the_pipelines_own_are_refused(root: Path) -> None:
    with open(root / "dvc.yaml", "a", encoding="utf-8") as file:
        for stage, out in (("tokenizer", "tokenizer"), ("pretrain", "pretrained")):
            file.write(f"  {stage}:\n    cmd: python -m tasks {stage}\n    outs:\n      - data/{out}\n")
    started = Params.model_validate({"tokenizer": {"from": "texts"}, "pretrain": {"from": "./more texts"}})
    assert sync_source_dependencies(root, started) == [
        "dvc.yaml: tokenizer now depends on texts (tokenizer.from)",
        "dvc.yaml: pretrain now depends on more texts (pretrain.from)",
    ]
    from_registry = Params.model_validate({"pretrain": {"from": "registry:3"}})
    assert sync_source_dependencies(root, from_registry) == [
        "dvc.yaml: tokenizer no longer depends on texts",
        "dvc.yaml: pretrain no longer depends on more texts",
    ]
    with pytest.raises(ConfigError, match=r"pretrain.from: data/pretrained is what this pipeline makes.*copy it"):
        sync_source_dependencies(root, Params.model_validate({"pretrain": {"from": "data/pretrained"}}))
