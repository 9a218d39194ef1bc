"""Steps of `killed_run.feature`: a real process, really killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_bdd import given, scenarios, then, when
from workspaces import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.feature("TRAIN-07"), pytest.mark.feature("CKPT-01")]
scenarios("killed_run.feature")

STEPS = 1200
PATIENCE_S = 300.0


@dataclass
class Pair:
    """Two workspaces in the same state: one trains in peace, the other is killed."""

    unbroken: Workspace
    killed: Workspace
    again: subprocess.CompletedProcess[str] | None = None


@given("two equal workspaces with a longer training before them", target_fixture="pair")
def two_workspaces(finished_toy_workspace: Workspace, tmp_path: Path) -> Pair:
    copies = [finished_toy_workspace.copy(tmp_path / name) for name in ("unbroken", "killed")]
    for copy in copies:
        copy.set_params({"pretrain": {"steps": STEPS, "checkpoint_every_steps": 50, "log_every_steps": 10}})
    return Pair(*copies)


@when("one of them trains without a break")
def train_unbroken(pair: Pair) -> None:
    done = pair.unbroken.run("dvc", "repro", "--single-item", "pretrain")
    assert done.returncode == 0, done.stdout + done.stderr


@when("the other is killed with -9 after its first checkpoint")
def kill_after_first_checkpoint(pair: Pair) -> None:
    root = pair.killed.root
    process = pair.killed.start("dvc", "repro", "--single-item", "pretrain")
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline and not 50 <= newest_step(root) < STEPS:
        time.sleep(0.02)
    running = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    output = (root / "output.txt").read_text(encoding="utf-8")
    assert running, f"it ended before it could be killed:\n{output[-4000:]}"
    assert 50 <= newest_step(root) < STEPS, f"no checkpoint in {PATIENCE_S} s:\n{output[-4000:]}"


def newest_step(root: Path) -> int:
    """The step of the newest complete checkpoint of the longer training, 0 while there is none."""
    steps = [0]
    for manifest in (root / "data" / "checkpoints").glob("step-*/MANIFEST.json"):
        try:
            state = json.loads((manifest.parent / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # it is being replaced right now
        steps.append(int(state["step"]))
    return max(steps)


@when("the killed one is run again")
def run_again(pair: Pair) -> None:
    pair.again = pair.killed.run("dvc", "repro", "--single-item", "pretrain")
    assert pair.again.returncode == 0, pair.again.stdout + pair.again.stderr


@then("it says from which step it goes on")
def says_from_where(pair: Pair) -> None:
    assert pair.again is not None
    said = pair.again.stdout + pair.again.stderr
    assert "step" in said, said
    assert any(word in said for word in ("resum", "goes on", "going on")), said


@then("both have the same model, byte for byte")
def same_model(pair: Pair) -> None:
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        one, other = (w.root / "data" / "pretrained" / name for w in (pair.unbroken, pair.killed))
        assert one.read_bytes() == other.read_bytes(), name


@then("the learning curve has every step once")
def curve_is_whole(pair: Pair) -> None:
    curves = []
    for workspace in (pair.unbroken, pair.killed):
        with open(workspace.root / "data" / "reports" / "pretrain" / "loss.csv", encoding="utf-8") as file:
            curves.append([(row["step"], row["train_loss"], row["validation_loss"]) for row in csv.DictReader(file)])
    assert curves[0] == curves[1]
    steps = [int(step) for step, *_ in curves[0]]
    assert steps == sorted(set(steps))


@then("no temporary file is left in data")
def no_litter(pair: Pair) -> None:
    assert [p for p in (pair.killed.root / "data").rglob("*") if ".tisslm-tmp-" in p.name] == []


@then('"dvc status" of it finds nothing to do for pretrain')
def status_is_clean(pair: Pair) -> None:
    status = pair.killed.run("dvc", "status", "pretrain")
    assert "up to date" in status.stdout, status.stdout + status.stderr
