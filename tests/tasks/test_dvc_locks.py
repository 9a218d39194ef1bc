"""DVC's note of who works on what: the dead are taken out, the living are named, a torn file is moved aside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.dvc_locks import repair_rwlock
from tasks.process_identity import is_zombie, process_identity
from tasks.workspace import initialise_workspace

pytestmark = pytest.mark.feature("OPS-02")
COMMAND = "/usr/bin/dvc repro --single-item a"
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: echo > a.txt, outs: [a.txt]}}\n", encoding="utf-8")
    initialise_workspace(tmp_path)
    (tmp_path / ".dvc" / "tmp").mkdir(exist_ok=True)
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def hold(root: Path, pid: int, command: str = COMMAND, age_s: float = 0.0) -> Path:
    """Let `.dvc/tmp/rwlock` say that a process writes `a.txt` and reads `b.txt`."""
    path = root / ".dvc" / "tmp" / "rwlock"
    holder = {"pid": pid, "cmd": command}
    noted = {"write": {str(root / "a.txt"): holder}, "read": {str(root / "b.txt"): [holder]}}
    path.write_text(json.dumps(noted), encoding="utf-8")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def repaired(root: Path) -> list[str]:
    said: list[str] = []
    repair_rwlock(root, said.append, patience_s=0.2)
    return said


def repro(root: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "dvc", "repro"]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def test_a_process_that_got_the_number_later_is_not_the_holder(root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = hold(root, sleeper.pid, f"dvc {' '.join(SLEEP[1:])}", age_s=60)
    assert "is busy" in repro(root).stderr, "DVC itself takes any process for the holder"
    os.utime(path, (time.time() - 60,) * 2)
    (line,) = repaired(root)
    assert line.startswith(f"repaired: .dvc/tmp/rwlock was still held by process {sleeper.pid} (dvc -c ")
    assert repro(root).returncode == 0


def test_a_process_with_another_command_is_not_the_holder(root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = hold(root, sleeper.pid)
    time.sleep(0.1)
    (line,) = repaired(root)
    assert "which has ended" in line
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}


def test_a_zombie_is_not_the_holder(root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    deadline = time.monotonic() + 30
    while not is_zombie(sleeper.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    hold(root, sleeper.pid, f"dvc {' '.join(SLEEP[1:])}")
    assert "which has ended" in repaired(root)[0]


def test_the_note_of_a_run_tells_a_later_process_of_the_same_number_apart(
    root: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    records = root / ".tisslm" / "processes"
    records.mkdir(parents=True)
    who = {**process_identity(sleeper.pid), "start_ticks": 1, "process_started": 1.0}
    (records / f"{sleeper.pid}.json").write_text(json.dumps({"process": who}), encoding="utf-8")
    hold(root, sleeper.pid)
    assert "which has ended" in repaired(root)[0]


def test_one_that_lives_is_named_with_the_file_and_keeps_its_lock(root: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = hold(root, sleeper.pid, command := f"dvc {' '.join(SLEEP[1:])}")
    before = path.read_bytes()
    (line,) = repaired(root)
    assert line.startswith(f".dvc/tmp/rwlock: held by process {sleeper.pid} ({command}), which runs")
    assert path.read_bytes() == before


@pytest.mark.parametrize("torn", ["[]", '{"write": {"a": 1}}', '{"read": {"a": [{"pid": 1}]}}'])
def test_a_file_that_is_json_but_no_lock_is_moved_aside_too(root: Path, torn: str) -> None:
    path = root / ".dvc" / "tmp" / "rwlock"
    path.write_text(torn, encoding="utf-8")
    assert repaired(root)[0].startswith("repaired: .dvc/tmp/rwlock was torn")
    assert not path.exists()
