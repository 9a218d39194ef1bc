"""What was journalled arrives in MLflow exactly once, under the right runs, whoever is killed and whenever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from test_journal import cut_off
from tracked_stages import SETTINGS, deliver_here, empty_database, history, params, runs, workspace

from model.errors import TrackingError
from tasks.courier import Courier, deliver, delivery_report, ensure_courier
from tasks.journal import close_pipeline, open_journal
from tasks.settings import Settings
from tasks.tracking import pipeline_run, tracking_errors

__all__ = ["empty_database", "workspace"]
REPOSITORY = Path(__file__).resolve().parents[2]
FLOW = SETTINGS.model_copy(update={"pipeline_run": "amber-otter", "flow_run": "0f1e"})


def child(root: Path, stage: str):
    (run,) = [r for r in runs(root) if r.data.tags["tisslm.stage"] == stage]
    return run


@pytest.mark.feature("OPS-01")
def test_a_pipeline_run_is_one_parent_with_a_child_for_each_stage(workspace: Path) -> None:
    report = workspace / "details.json"
    report.write_text("{}", encoding="utf-8")
    for stage in ("clean", "evaluate"):
        with open_journal(workspace, stage, params(), FLOW) as journal:
            journal.tags({"input.raw": "abc"})
            journal.dataset("clean/test", Path("data/clean/test"), "d" * 64, "test", {"documents": 12.0})
            journal.artifact(report, "report")
            journal.metrics({"test_bits_per_byte": 1.5}, step=3)
            journal.metrics({"test_bits_per_byte": 1.25, "seconds": 2.0})
    close_pipeline(workspace, "amber-otter", "FINISHED")
    deliver_here(workspace)
    parent, clean, evaluate = child(workspace, "pipeline"), child(workspace, "clean"), child(workspace, "evaluate")
    assert pipeline_run(workspace, "amber-otter") == parent.info.run_id
    for run in (clean, evaluate):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        assert run.data.tags["input.raw"] == "abc"
        assert run.data.tags["flow_run"] == "0f1e"
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest, used.tags[0].value) == ("clean/test", "d" * 36, "test")
    assert evaluate.info.run_name == "evaluate"
    assert {name.split(".")[0] for name in evaluate.data.params} == {"evaluate"}
    assert parent.data.params["pretrain.steps"] == "10"
    assert set(parent.data.params) == set(params().flat())
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test_bits_per_byte"] == 1.25
    assert parent.data.metrics["clean.seconds"] == 2.0
    assert history(workspace, evaluate.info.run_id, "test_bits_per_byte") == [(0, 1.25), (3, 1.5)]
    files = Path(evaluate.info.artifact_uri.removeprefix("file://"))
    assert (files / "report" / "details.json").read_text(encoding="utf-8") == "{}"
    assert workspace / "mlruns" in files.parents
    assert delivery_report(workspace).delivered


def test_figures_arrive_while_the_stage_still_runs(workspace: Path) -> None:
    courier = Courier(workspace, SETTINGS)
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        for step in range(4):
            journal.metrics({"loss": float(step)}, step)
            courier.send_all()
            run = child(workspace, "pretrain")
            assert (run.info.status, run.data.metrics["loss"]) == ("RUNNING", float(step))
        assert not courier.send_all()
    courier.send_all()
    assert child(workspace, "pretrain").info.status == "FINISHED"


@pytest.mark.feature("OPS-01")
def test_a_killed_and_resumed_stage_is_one_run_with_each_metric_once(workspace: Path) -> None:
    cut_off(workspace, "[journal.metrics({'loss': 9.0 - s}, s) for s in range(7)]")
    deliver_here(workspace)
    killed = child(workspace, "pretrain")
    assert killed.info.status == "KILLED"
    with open_journal(workspace, "pretrain", params(), FLOW) as journal:
        journal.tags({"input.tokens": "abc"})
        deliver_here(workspace)  # not yet known whether it resumes: nothing may be created
        assert len([r for r in runs(workspace) if r.data.tags["tisslm.stage"] == "pretrain"]) == 1
        journal.resumed(4)
        for step in range(4, 10):
            journal.metrics({"loss": 9.0 - step}, step)
        deliver_here(workspace)
        assert child(workspace, "pretrain").info.status == "RUNNING"
    deliver_here(workspace)
    run = child(workspace, "pretrain")
    assert run.info.run_id == killed.info.run_id
    assert run.info.status == "FINISHED"
    assert history(workspace, run.info.run_id, "loss") == [(step, 9.0 - step) for step in range(10)]
    assert run.data.tags["mlflow.parentRunId"] == pipeline_run(workspace, "amber-otter")


def test_attempts_delivered_together_later_end_with_the_last_status(workspace: Path) -> None:
    cut_off(workspace, "[journal.metrics({'loss': 1.0}, s) for s in range(3)]")
    with open_journal(workspace, "pretrain", params(), FLOW) as journal:
        journal.tags({"input.tokens": "abc"})
        journal.resumed(2)
        journal.metrics({"loss": 1.0}, 3)
    deliver_here(workspace)
    run = child(workspace, "pretrain")
    assert run.info.status == "FINISHED"
    assert history(workspace, run.info.run_id, "loss") == [(step, 1.0) for step in range(4)]


def test_the_parent_of_a_plain_run_ends_as_its_stages_did(workspace: Path) -> None:
    cut_off(workspace, "journal.metrics({'loss': 1.0}, 0)")
    deliver_here(workspace)
    assert child(workspace, "pipeline").info.status == "KILLED"


KILLER = """
    import os, signal, sys
    from pathlib import Path
    from mlflow.tracking import MlflowClient
    from tracked_stages import SETTINGS
    from tasks.courier import Courier

    left = [int(sys.argv[2])]

    def dying(name):
        call = getattr(MlflowClient, name)
        def wrapped(*arguments, **named):
            left[0] -= 1
            if left[0] == 0 and sys.argv[3] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **named)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        setattr(MlflowClient, name, wrapped)

    for name in ("create_experiment", "create_run", "log_batch", "log_inputs", "log_artifact", "set_terminated"):
        dying(name)
    courier = Courier(Path(sys.argv[1]), SETTINGS)
    courier.send_all()
    print("all sent")
"""


@pytest.mark.slow
@pytest.mark.feature("OPS-01")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_courier_killed_at_any_call_delivers_everything_exactly_once(workspace: Path, when: str) -> None:
    report = workspace / "details.json"
    report.write_text("{}", encoding="utf-8")
    with open_journal(workspace, "evaluate", params(), FLOW) as journal:
        journal.dataset("clean/test", Path("data/clean/test"), "d" * 64, "test", {})
        for step in range(2000):
            journal.metrics({"loss": 1.0 / (step + 1)}, step)
        journal.artifact(report)
        journal.metrics({"seconds": 2.0})
    close_pipeline(workspace, "amber-otter", "FINISHED")
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}"}
    for call in range(1, 60):
        words = [sys.executable, "-c", textwrap.dedent(KILLER), str(workspace), str(call), when]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if "all sent" in done.stdout:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert "all sent" in done.stdout
    assert len(runs(workspace)) == 2
    run = child(workspace, "evaluate")
    assert history(workspace, run.info.run_id, "loss") == [(step, 1.0 / (step + 1)) for step in range(2000)]
    assert history(workspace, run.info.run_id, "seconds") == [(0, 2.0)]
    assert history(workspace, child(workspace, "pipeline").info.run_id, "evaluate.seconds") == [(0, 2.0)]
    assert len(run.inputs.dataset_inputs) == 1
    assert {r.info.status for r in runs(workspace)} == {"FINISHED"}


def test_what_the_server_refuses_is_named_and_holds_up_nothing_else(workspace: Path) -> None:
    from mlflow.tracking import MlflowClient

    courier = Courier(workspace, SETTINGS)
    with open_journal(workspace, "clean", params(), SETTINGS) as journal:
        courier.send_all()
        MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}").delete_run(child(workspace, "clean").info.run_id)
        journal.metrics({"kept": 3.0})
    with open_journal(workspace, "evaluate", params(), SETTINGS) as journal:
        journal.metrics({"seconds": 1.0})
    courier.send_all()
    courier.send_all()
    assert child(workspace, "evaluate").info.status == "FINISHED"
    (refused,) = delivery_report(workspace).refused
    assert "/clean: " in refused
    assert "deleted" in refused or "active" in refused


def test_a_new_database_gets_an_unfinished_run_from_its_beginning(
    workspace: Path, empty_database: Path, run_python
) -> None:
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": 2.0}, 1)
        deliver_here(workspace)
        for path in workspace.glob("mlflow.db*"):
            path.unlink()
        (workspace / "mlflow.db").write_bytes(empty_database.read_bytes())
        journal.metrics({"loss": 1.0}, 2)
    code = f"""
from pathlib import Path
from tracked_stages import deliver_here, history, runs
root = Path({str(workspace)!r})
for _ in range(3):
    deliver_here(root)
run, = [r for r in runs(root) if r.data.tags["tisslm.stage"] == "pretrain"]
print(run.info.status, history(root, run.info.run_id, "loss"))
"""
    done = run_python(code, PYTHONPATH=f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}")
    assert done.stdout.strip() == "FINISHED [(1, 2.0), (2, 1.0)]", done.stderr


@pytest.mark.feature("OPS-01")
def test_a_dead_server_is_one_line_and_the_journal_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": 1.0}, 0)
    with pytest.raises(TrackingError) as caught, tracking_errors(tmp_path):
        Courier(tmp_path, SETTINGS).send_all()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "tisslm tracking sync" in str(caught.value)
    report = delivery_report(tmp_path)
    assert (report.delivered, len(report.waiting), report.uri) == (False, 1, "http://127.0.0.1:9")


@pytest.mark.slow
def test_the_courier_process_starts_once_delivers_and_ends_by_itself(workspace: Path) -> None:
    settings = Settings(progress="none", _env_file=None)
    with open_journal(workspace, "clean", params(), settings) as journal:
        journal.metrics({"kept": 3.0})
        for _ in range(5):
            ensure_courier(workspace, settings)
    report = deliver(workspace, wait_s=120)
    assert report.delivered, report
    assert child(workspace, "clean").data.metrics["kept"] == 3.0
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and _couriers(workspace):
        time.sleep(0.5)
    assert _couriers(workspace) == 0
    assert delivery_report(workspace).delivered


def _couriers(root: Path) -> int:
    import psutil

    found = 0
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        found += "tasks.courier" in words and str(root) in words
    return found
