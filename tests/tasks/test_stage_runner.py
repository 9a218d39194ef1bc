"""The stage runner: arguments by name, verified inputs, one run at a time, old results never half replaced."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from workspaces import Workspace

from model.errors import BusyError, ConfigError, WorkspaceError
from model.files import verify_manifest
from tasks.graph import downstream, read_graph
from tasks.stage import stage_lock

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_graph_is_read_from_dvc_yaml_in_an_order_that_works() -> None:
    graph = read_graph(REPOSITORY)
    before, after = ["ingest", "clean", "tokenizer", "tokenize"], ["pretrain", "evaluate", "quantize", "publish"]
    assert list(graph) == [*before, "datasheet", *after]
    done: set[str] = set()
    for stage in graph.values():
        assert set(stage.after) <= done
        done.add(stage.name)
    assert graph["pretrain"].kept == {"checkpoints": Path("data/checkpoints")}
    assert graph["pretrain"].inputs == {"tokenizer": Path("data/tokenizer"), "tokens": Path("data/tokens")}
    assert downstream(graph, "quantize") == ["quantize", "publish"]
    assert "quantize" not in downstream(graph, "evaluate")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, WorkspaceError, "no such file"),
        ("stages: [", WorkspaceError, "is not a DVC pipeline"),
        ("stages: {a: {cmd: x, outs: []}}", ConfigError, "has 0 output folders"),
        (
            "stages: {a: {cmd: x, deps: [data/b], outs: [data/a]}, b: {cmd: x, deps: [data/a], outs: [data/b]}}",
            ConfigError,
            "wait for each other in a circle",
        ),
    ],
)
def test_a_broken_graph_is_one_line(tmp_path: Path, text: str | None, error: type[Exception], message: str) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(error, match=message):
        read_graph(tmp_path)


def test_a_stage_that_already_runs_is_refused_with_its_process(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tasks.stage import stage_lock
with stage_lock(Path({str(tmp_path)!r}), "clean"):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=rf"already runs in this workspace \(process {holder.pid}\)"),
            stage_lock(tmp_path, "clean"),
        ):
            pass
        holder.kill()
        holder.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with stage_lock(tmp_path, "clean"):
                return
        except BusyError:
            time.sleep(0.1)
    pytest.fail("the lock of a killed process was never given back")


def test_a_stage_by_hand_leaves_output_manifest_and_report(toy_workspace: Workspace) -> None:
    done = toy_workspace.run(sys.executable, "-m", "tasks", "ingest")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ingest: 60 documents")
    assert verify_manifest(toy_workspace.root / "data" / "raw")
    assert (toy_workspace.root / "data" / "reports" / "ingest.json").is_file()
    assert (toy_workspace.root / "data" / "reports" / "ingest" / "details.json").is_file()


def test_damaged_inputs_are_refused_before_they_are_used(toy_workspace: Workspace) -> None:
    assert toy_workspace.run(sys.executable, "-m", "tasks", "ingest").returncode == 0
    part = next((toy_workspace.root / "data" / "raw").glob("*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    refused = toy_workspace.run(sys.executable, "-m", "tasks", "clean")
    assert refused.returncode == 7
    assert refused.stderr.strip().splitlines()[-1].startswith(f"tisslm: clean: data/raw/{part.name}: sha256")
    assert "Traceback" not in refused.stderr
    assert not (toy_workspace.root / "data" / "clean").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [(["unknown"], 2, "no such stage; dvc.yaml has ingest, clean"), (["clean"], 7, "no such folder; run the stage")],
)
def test_a_wrong_call_is_one_line_and_a_documented_exit_code(
    toy_workspace: Workspace, words: list[str], code: int, message: str
) -> None:
    refused = toy_workspace.run(sys.executable, "-m", "tasks", *words)
    assert refused.returncode == code
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
