"""The Prefect flow: DVC decides what runs, Prefect orders, retries and shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.sorting import LogSort, TaskRunSort
from prefect.states import State
from toy_pipeline import AFTER, VOCABULARY, ToyPipeline

from flows.pipeline import pipeline
from model.errors import BusyError, ConfigError, CorpusError, TissLMError, TokenizerError, WorkspaceError
from tasks.workspace import run_lock

pytestmark = [
    pytest.mark.slow,
    pytest.mark.feature("PIPE-03"),
    pytest.mark.usefixtures("prefect_api"),
]


@pytest.fixture(autouse=True)
def _inside(toy: ToyPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.root)


def run(**parameters: Any) -> dict[str, str]:
    return {name: outcome.how for name, outcome in pipeline(**parameters).items()}


def state_of(**parameters: Any) -> State[Any]:
    return pipeline(**parameters, return_state=True)


@pytest.mark.feature("PIPE-04")
def test_first_everything_works_then_nothing_then_only_what_depends_on_the_change(toy: ToyPipeline) -> None:
    assert run() == dict.fromkeys(AFTER, "worked")
    assert toy.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert "didn't change" in toy.dvc("repro").stdout
    toy.forget_counts()

    assert run() == dict.fromkeys(AFTER, "unchanged")
    assert toy.counts() == {}

    changed = run(overrides={"tokenizer.vocab_size": 1234})
    assert changed == {**dict.fromkeys(AFTER, "unchanged"), "tokenizer": "worked", "pretrain": "worked"}
    assert toy.counts() == {"tokenizer": 1, "pretrain": 1}
    assert "vocab_size: 1234" in (toy.root / "params.yaml").read_text()

    back = run(overrides={"tokenizer.vocab_size": VOCABULARY})
    assert (back["tokenizer"], back["pretrain"]) == ("restored", "restored"), "DVC still has those outputs"


@pytest.mark.feature("PIPE-04")
def test_what_dvc_did_the_flow_finds_done(toy: ToyPipeline) -> None:
    assert toy.dvc("repro").returncode == 0
    assert run() == dict.fromkeys(AFTER, "unchanged")


def test_force_and_from_run_that_stage_and_what_depends_on_it(toy: ToyPipeline) -> None:
    with pytest.raises(WorkspaceError, match=r"--from tokenizer: data/clean does not exist, which stage clean makes"):
        pipeline(from_stage="tokenizer")
    run()
    toy.forget_counts()
    toy.set_value("clean", "min_characters", 100)
    assert run(from_stage="tokenizer", force=True) == {"tokenizer": "worked", "pretrain": "worked"}
    assert toy.counts() == {"tokenizer": 1, "pretrain": 1}, "clean changed, but was taken as it is"


@pytest.mark.feature("DX-06")
def test_a_failing_stage_fails_the_flow_with_its_own_error_and_other_branches_finish(toy: ToyPipeline) -> None:
    toy.plan("tokenizer", error=TokenizerError("data/clean: 100 distinct words cannot fill 4096 entries"))
    with pytest.raises(TokenizerError, match=r"^tokenizer: data/clean: 100 distinct words cannot fill 4096 entries$"):
        pipeline()
    assert toy.counts() == {"ingest": 1, "clean": 1, "tokenizer": 1, "tokenize": 1}, "no retry, nothing downstream"
    toy.plan("tokenizer")
    assert run() == {
        "ingest": "unchanged",
        "clean": "unchanged",
        "tokenizer": "worked",
        "tokenize": "unchanged",
        "pretrain": "worked",
    }


def test_a_stage_that_crashes_is_one_line_with_its_last_words_and_exit_code(toy: ToyPipeline) -> None:
    toy.plan("clean", error="Segmentation fault")
    with pytest.raises(TissLMError) as caught:
        pipeline()
    assert str(caught.value) == "clean: its command ended with exit code 9: Segmentation fault"
    assert type(caught.value) is TissLMError


def test_the_failed_flow_run_says_the_error_in_prefect(toy: ToyPipeline) -> None:
    toy.plan("ingest", error=CorpusError("my-texts/: no such file or folder"))
    state = state_of()
    assert state.is_failed()
    assert "CorpusError: ingest: my-texts/: no such file or folder" in str(state.message)


def test_a_transient_error_is_tried_again(toy: ToyPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.plan("clean", error=BusyError("stage clean: already runs in this workspace"), fails=2)
    assert run()["clean"] == "worked"
    assert toy.counts()["clean"] == 3


def test_a_stage_that_plain_dvc_is_running_is_waited_for(toy: ToyPipeline) -> None:
    toy.plan("ingest", seconds=3)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    other = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "--single-item", "ingest"],
        cwd=toy.root,
        env=toy.environment(PATH=path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (toy.root / "count-ingest").exists():
        assert other.poll() is None
        time.sleep(0.05)
    assert set(run()) == set(AFTER)
    assert other.wait() == 0
    assert toy.counts()["ingest"] == 1, "the other's work was not done again"


def test_a_second_flow_in_the_same_workspace_is_refused(toy: ToyPipeline) -> None:
    code = "import sys; from pathlib import Path; from tasks.workspace import run_lock\n"
    code += "with run_lock(Path('.')): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=toy.root,
        env=toy.environment(PYTHONPATH=str(Path(__file__).parents[2])),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"another run works here \(process {other.pid} since"):
            pipeline()
        threading.Timer(1.0, other.stdin.close).start()
        assert set(run(wait=True)) == set(AFTER)
    with run_lock(toy.root):
        pass


@pytest.mark.feature("PIPE-07")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"overrides": {"pretrain.stepz": 3}}, "did you mean pretrain.steps"),
        ({"overrides": {"pretrain.steps": -1}}, "allowed range >= 1"),
        ({"from_stage": "nowhere"}, "--from nowhere: no such stage; dvc.yaml has ingest, clean"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(
    toy: ToyPipeline, parameters: dict[str, Any], message: str
) -> None:
    before = (toy.root / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=message):
        pipeline(**parameters)
    assert toy.counts() == {}
    assert (toy.root / "params.yaml").read_bytes() == before


def test_prefect_shows_every_stage_its_lines_and_its_report(toy: ToyPipeline) -> None:
    state = state_of()
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id is not None
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(flow_run_id)
        mine = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run_id]))
        only_mine = {"artifacts": {"flow_run_id": {"any_": [str(flow_run_id)]}}}
        artifacts = {a["key"] for a in client.request("POST", "/artifacts/filter", json=only_mine).json()}
        tasks = client.read_task_runs(task_run_filter=mine, sort=TaskRunSort.NAME_ASC, limit=100)
        deadline = time.monotonic() + 60
        messages: list[str] = []
        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id]))
        while "pretrain says hello" not in messages and time.monotonic() < deadline:
            logs = client.read_logs(wanted, sort=LogSort.TIMESTAMP_ASC, limit=200, offset=0)
            messages = [log.message for log in logs]
            time.sleep(0.2)
    assert flow_run.name.startswith("run-")
    assert {task.name for task in tasks} <= set(AFTER)
    assert "pretrain says hello" in messages
    assert {"clean-figures", "clean-what-was-read", "stages"} <= artifacts
