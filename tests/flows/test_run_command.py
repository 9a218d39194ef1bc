"""`tisslm run` as a person sees it: lines, messages, exit codes, and what a kill leaves."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import get_client
from toy_pipeline import AFTER, STEPS, ToyPipeline

from model.errors import CorpusError
from model.files import read_json

pytestmark = [pytest.mark.slow, pytest.mark.feature("DX-01")]


@pytest.mark.feature("PIPE-04")
def test_a_line_for_each_stage_then_nothing_changed_without_a_server(toy: ToyPipeline, prefect_api: str) -> None:
    toy.plan("pretrain", seconds=1)
    first = toy.command("run", "--set", "pretrain.steps=300", PREFECT_API_URL=prefect_api)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    lines = first.stdout.splitlines()
    assert f"params.yaml: pretrain.steps {STEPS} -> 300" in lines
    for stage in AFTER:
        (line,) = [line for line in lines if line.startswith(f"{stage} ") and f"{stage} made" in line]
        assert line.endswith(" s")

    second = toy.command("run", PREFECT_API_URL="http://127.0.0.1:9/api")  # nobody answers there, nobody is asked
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("nothing changed since 20")

    as_json = toy.command("run", "--json", "--force", "--from", "pretrain", PREFECT_API_URL=prefect_api)
    found = json.loads(as_json.stdout)
    assert found["changed"] is True
    assert found["stages"]["pretrain"]["how"] == "worked"


@pytest.mark.feature("DX-06")
def test_a_failing_stage_is_one_line_and_its_exit_code(toy: ToyPipeline, prefect_api: str) -> None:
    toy.plan("clean", error=CorpusError("no documents left after cleaning"))
    done = toy.command("run", PREFECT_API_URL=prefect_api)
    assert done.returncode == CorpusError.exit_code
    assert done.stderr == "tisslm: error: clean: no documents left after cleaning\n"


@pytest.mark.feature("DX-06")
def test_a_prefect_server_that_does_not_answer_is_one_line(toy: ToyPipeline) -> None:
    done = toy.command("run", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 16
    assert done.stderr.startswith("tisslm: error: PREFECT_API_URL=http://127.0.0.1:9/api: no Prefect server answers")
    assert toy.counts() == {}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def children_of(toy: ToyPipeline) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(toy.root.resolve()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_everything_it_started(toy: ToyPipeline, prefect_api: str, number: signal.Signals) -> None:
    toy.plan("clean", seconds=600)
    running = toy.start("run", PREFECT_API_URL=prefect_api)
    wait_for(toy.root / "count-clean")
    flow_run = read_json(toy.root / ".tisslm" / "flow_run.json")["flow_run"]
    running.send_signal(number)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    assert output.endswith("tisslm: stopped; nothing finished is lost: run the same command again to go on\n")
    assert "Traceback" not in output
    assert children_of(toy) == []
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run).state
    assert state is not None
    assert state.is_cancelled()
    toy.plan("clean")
    again = toy.command("run", PREFECT_API_URL=prefect_api)
    assert again.returncode == 0, again.stderr
    assert "ingest      unchanged" in again.stdout


def test_after_a_kill_the_next_run_ends_the_leftovers_and_marks_the_run_crashed(
    toy: ToyPipeline, prefect_api: str
) -> None:
    toy.plan("clean", silent_s=600)
    running = toy.start("run", PREFECT_API_URL=prefect_api)
    wait_for(toy.root / "count-clean")
    flow_run = read_json(toy.root / ".tisslm" / "flow_run.json")["flow_run"]
    running.kill()
    running.communicate(timeout=60)
    assert children_of(toy), "the stage goes on without its run"
    toy.plan("clean")
    again = toy.command("run", PREFECT_API_URL=prefect_api)
    assert again.returncode == 0, again.stderr
    assert "ended what a killed run had left running: stage clean (process " in again.stdout
    assert children_of(toy) == []
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run).state
    assert state is not None
    assert state.is_crashed()


def test_a_run_without_any_server_brings_its_own_and_leaves_its_history(toy: ToyPipeline) -> None:
    done = toy.command("run")
    assert done.returncode == 0, done.stderr
    assert (toy.root / ".tisslm" / "prefect" / "prefect.db").exists()
    assert children_of(toy) == [], "the server ended with the run"
    status = toy.command("status")
    assert status.stdout == "nothing changed: every stage is up to date\n"


def test_a_run_outlives_its_prefect_server(toy: ToyPipeline) -> None:
    toy.plan("clean", seconds=8)
    running = toy.start("run")
    wait_for(toy.root / "count-clean")
    (server,) = [
        record["process"]["pid"]
        for record in map(read_json, (toy.root / ".tisslm" / "processes").glob("*.json"))
        if record["what"] == "prefect server"
    ]
    for process in [*psutil.Process(server).children(recursive=True), psutil.Process(server)]:
        process.kill()
    output, _ = running.communicate(timeout=200)
    assert "the Prefect server ended (exit code -9); it is started again" in output
    assert "defect" not in output
    if running.returncode:  # it was away at a moment at which Prefect's client does not try again
        assert running.returncode == 16, output
        assert "the same command goes on from there" in output
        again = toy.command("run")
        assert again.returncode == 0, again.stderr
    assert toy.counts()["ingest"] == 1


def test_a_run_killed_behind_its_last_stage_is_closed_by_one_with_nothing_to_do(
    toy: ToyPipeline, prefect_api: str
) -> None:
    assert toy.command("run", PREFECT_API_URL=prefect_api).returncode == 0
    from prefect.states import Running

    from flows.pipeline import pipeline

    with get_client(sync_client=True) as client:
        left = client.create_flow_run(pipeline, state=Running())  # type: ignore[arg-type]
        record = toy.root / ".tisslm" / "flow_run.json"
        record.write_text(json.dumps({"flow_run": str(left.id)}))
        again = toy.command("run", PREFECT_API_URL=prefect_api)
        assert again.returncode == 0, again.stderr
        assert "closing the run that a killed process left open" in again.stdout
        state = client.read_flow_run(left.id).state
    assert state is not None
    assert state.is_crashed()
    assert not record.exists()
