"""From any one name of a result to all others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from small_models import FOLDERS, SmallPipeline, small_pipeline
from tracked_stages import SETTINGS, deliver_here, empty_database, runs, workspace

from model.errors import RegistryError
from model.files import folder_digest, write_text
from tasks.courier import delivery_report
from tasks.graph import REPORTS
from tasks.journal import close_pipeline, open_journal
from tasks.publish import publish
from tasks.registry import open_registry, resolve
from tasks.trace import trace

__all__ = ["empty_database", "workspace"]


def run_pipeline(pipeline: SmallPipeline, flow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a flow does: stages that journal, `publish` among them, delivered at the end."""
    monkeypatch.setenv("TISSLM_FLOW_RUN", flow)
    settings = SETTINGS.model_copy(update={"pipeline_run": f"run-{flow}", "flow_run": flow})
    root = pipeline.root
    with open_journal(root, "pretrain", pipeline.params, settings) as journal:
        journal.tags({"output": folder_digest(pipeline.folder("pretrained"))})
        journal.metrics({"loss": 1.0}, 1)
    with open_journal(root, "publish", pipeline.params, settings) as journal:
        for folder in (pipeline.folder("published"), root / REPORTS / "publish"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        report = publish(
            pipeline.params.publish,
            **{name: pipeline.folder(name) for name in FOLDERS},
            out=pipeline.folder("published"),
            journal=journal,
            reports=root / REPORTS,
            report_folder=root / REPORTS / "publish",
            params=pipeline.params,
            root=root,
        )
        journal.metrics(report.metrics)
    close_pipeline(root, f"run-{flow}", "FINISHED")
    deliver_here(root)
    assert delivery_report(root).delivered


@pytest.fixture
def traced(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> SmallPipeline:
    write_text(workspace / "dvc.lock", "stages:\n  pretrain:\n    cmd: python -m tasks pretrain\n")
    for words in (
        ["init", "-q"],
        ["-c", "user.name=toy", "-c", "user.email=toy@localhost", "commit", "-q", "--allow-empty", "-m", "toy"],
    ):
        subprocess.run(["git", *words], cwd=workspace, check=True)
    pipeline = small_pipeline(workspace)
    run_pipeline(pipeline, "0f1e2d3c", monkeypatch)
    return pipeline


def commit_of(root: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.feature("PIPE-05")
def test_every_name_of_a_result_leads_to_all_others(traced: SmallPipeline) -> None:
    root = traced.root
    ids = {run.data.tags["tisslm.stage"]: run.info.run_id for run in runs(root)}
    commit = commit_of(root)
    things = {
        "version": ["toy@champion", "toy/1", "1", "champion"],
        "MLflow run": [ids["pipeline"], ids["pretrain"], ids["publish"]],
        "git commit": [commit, commit[:8]],
        "flow run": ["0f1e2d3c", "run-0f1e2d3c"],
        "folder": ["data/published", "data/pretrained", "data/quantized", str(resolve(root, "toy").folder)],
    }
    for kind, names in things.items():
        for name in names:
            (found,) = trace(root, name, "toy")
            assert found.found_by == kind, name
            assert found.versions == ("toy/1 (candidate, champion)",)
            assert found.runs == ids
            assert (found.git_commit, found.flow_run) == (commit, "0f1e2d3c")
            assert found.params_digest == traced.params.digest
            assert found.stages == {"pretrain": {"cmd": "python -m tasks pretrain"}}
            assert found.files["model.safetensors"]
            assert found.identity == resolve(root, "toy").tags["identity"]


@pytest.mark.feature("PIPE-05")
def test_a_second_run_that_made_the_same_bytes_leads_to_the_same_version(
    traced: SmallPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_pipeline(traced, "beefbeef", monkeypatch)
    (found,) = trace(traced.root, "beefbeef", "toy")
    assert found.versions == ("toy/1 (candidate, champion)",)


@pytest.mark.feature("PIPE-05")
def test_a_run_that_published_nothing_is_still_traced(workspace: Path) -> None:
    settings = SETTINGS.model_copy(update={"pipeline_run": "short", "flow_run": "abcd"})
    pipeline = small_pipeline(workspace)
    with open_journal(workspace, "clean", pipeline.params, settings) as journal:
        journal.metrics({"kept": 1.0})
    deliver_here(workspace)
    (found,) = trace(workspace, "abcd")
    assert (found.versions, set(found.runs)) == ((), {"pipeline", "clean"})
    assert found.params_digest == pipeline.params.digest


@pytest.mark.parametrize("thing", ["toy/9", "deadbeef", "0" * 32, "no-such-flow", "data/raw", "it's"])
def test_an_unknown_name_is_one_line(traced: SmallPipeline, thing: str) -> None:
    with pytest.raises(RegistryError, match=r"nothing is known by that name; expected a version") as caught:
        trace(traced.root, thing, "toy")
    assert "\n" not in str(caught.value)


def test_unregistered_bytes_are_named_as_such(traced: SmallPipeline) -> None:
    traced.train(seed=9)
    with pytest.raises(RegistryError, match="no registered version has these bytes"):
        trace(traced.root, "data/pretrained", "toy")


@pytest.mark.feature("PIPE-05")
def test_a_moved_workspace_still_finds_its_model_and_runs(traced: SmallPipeline, tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.move(traced.root, moved)
    model = resolve(moved, "toy")
    assert moved in model.folder.parents
    (found,) = trace(moved, "0f1e2d3c", "toy")
    assert found.versions == ("toy/1 (candidate, champion)",)
    there = SmallPipeline(moved, traced.params)
    there.train(seed=5)
    there.judge(1.0)
    there.publish()
    assert moved in resolve(moved, "toy").folder.parents
    assert not traced.root.exists() or not list(traced.root.rglob("model.safetensors"))


@pytest.mark.feature("GOV-01")
def test_a_version_names_its_sources_and_carries_its_card(traced: SmallPipeline) -> None:
    name = traced.params.publish.name
    (found,) = trace(traced.root, "1", name)
    assert found.facts["sources"] == ", ".join(source.name for source in traced.params.ingest.sources)
    described = open_registry(traced.root, name).connection.client.get_model_version(name, "1").description
    card = (traced.folder("published") / "README.md").read_text(encoding="utf-8")
    assert described.startswith(f"# {name}")
    assert described in card
    assert 1000 < len(described) <= 5000
