"""A process is known again whatever the clock does, and never taken for one that had its number before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from test_journal import REPOSITORY
from tracked_stages import SETTINGS, deliver_here, empty_database, history, params, runs, workspace

from tasks.courier import delivery_report
from tasks.journal import open_journal
from tasks.process_identity import boot_id, is_zombie, process_identity, still_runs

__all__ = ["empty_database", "workspace"]
pytestmark = pytest.mark.skipif(not boot_id(), reason="the kernel here names no boots")


@pytest.fixture
def step_of_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this machine was set forward by a minute: every start time that psutil computes moves with it."""
    original = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: original(process) + 60)


def test_a_process_is_known_until_it_ends_and_a_zombie_has_ended() -> None:
    assert still_runs(process_identity())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        who = process_identity(process.pid)
        assert still_runs(who)
        assert not is_zombie(process.pid)
        process.kill()
        deadline = time.monotonic() + 30
        while not is_zombie(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not still_runs(who), "its parent has not asked yet, so its number is still taken"
    assert not still_runs(who)


@pytest.mark.parametrize("other", [{"start_ticks": 1}, {"boot": "an earlier one"}, {"pid": 2**22 + 1}, {"pid": None}])
def test_the_same_number_with_another_start_or_boot_is_another_process(other: dict) -> None:
    assert not still_runs({**process_identity(), **other})


def test_a_process_of_another_machine_counts_as_living() -> None:
    assert still_runs({**process_identity(), "host": "elsewhere", "start_ticks": 1})


def test_notes_of_older_versions_are_understood() -> None:
    now = psutil.Process()
    assert still_runs({"pid": now.pid, "created": now.create_time()})
    assert still_runs({"pid": now.pid, "process_started": now.create_time()})
    assert not still_runs({"pid": now.pid, "created": now.create_time() - 60})


@pytest.mark.feature("OPS-01")
def test_a_step_of_the_clock_while_a_stage_runs_loses_nothing(workspace: Path, request: pytest.FixtureRequest) -> None:
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": 1.0}, 0)
        deliver_here(workspace)
        request.getfixturevalue("step_of_clock")
        deliver_here(workspace)
        for step in range(1, 50):
            journal.metrics({"loss": 1.0}, step)
        assert not delivery_report(workspace).delivered
        deliver_here(workspace)
    deliver_here(workspace)
    (run,) = [r for r in runs(workspace) if r.data.tags["tisslm.stage"] == "pretrain"]
    assert run.info.status == "FINISHED"
    assert history(workspace, run.info.run_id, "loss") == [(step, 1.0) for step in range(50)]


def as_older_versions_wrote_it(journal: Path) -> None:
    """The opening line with a start time instead of boot and ticks, and without a checksum."""
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    opening = {k: v for k, v in json.loads(first).items() if k not in {"boot", "start_ticks", "crc"}}
    opening["process_started"] = round(psutil.Process().create_time(), 2)
    journal.write_bytes(json.dumps(opening).encode() + b"\n" + b"".join(rest))


@pytest.mark.feature("OPS-01")
def test_what_a_stage_writes_after_it_was_taken_for_dead_arrives(
    workspace: Path, request: pytest.FixtureRequest
) -> None:
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": 1.0}, 0)
        assert journal.file is not None
        as_older_versions_wrote_it(journal.file.path)
        request.getfixturevalue("step_of_clock")
        deliver_here(workspace)
        assert [r.info.status for r in runs(workspace)][1:] == ["KILLED"]
        journal.metrics({"loss": 2.0}, 1)
        assert not delivery_report(workspace).delivered, "a step is not sent"
        deliver_here(workspace)
    deliver_here(workspace)
    assert delivery_report(workspace).delivered
    (run,) = [r for r in runs(workspace) if r.data.tags["tisslm.stage"] == "pretrain"]
    assert run.info.status == "FINISHED"
    assert history(workspace, run.info.run_id, "loss") == [(0, 1.0), (1, 2.0)]


def test_the_stages_of_one_process_share_a_pipeline_run_across_a_step_of_the_clock(
    request: pytest.FixtureRequest,
) -> None:
    from tasks.journal import pipeline_identity

    before = pipeline_identity(SETTINGS)["id"]
    request.getfixturevalue("step_of_clock")
    assert pipeline_identity(SETTINGS)["id"] == before


def test_the_identity_is_the_same_for_a_reader_with_another_clock() -> None:
    code = "import json; from tasks.process_identity import *; print(json.dumps(process_identity(int(input()))))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TZ": "Asia/Tokyo"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, input=str(os.getpid()), env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == process_identity()
