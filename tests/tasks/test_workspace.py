"""A workspace is found from inside, works with git and without, and holds one run at a time."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.errors import BusyError, WorkspaceError
from tasks.dvc_locks import repair_rwlock
from tasks.workspace import (
    NO_SCM,
    find_workspace,
    initialise_workspace,
    prepare_workspace,
    run_lock,
)

pytestmark = pytest.mark.feature("PIPE-01")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    return tmp_path


def is_without_git(root: Path) -> bool:
    local = root / ".dvc" / "config.local"
    return bool(local.is_file() and NO_SCM.search(local.read_text(encoding="utf-8")))


def dvc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )


def test_found_from_a_folder_inside(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    assert find_workspace(root / "a" / "b") == root.resolve()


def test_outside_the_message_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"has dvc.yaml and params.yaml; go to a clone"):
        find_workspace(tmp_path)


def test_without_dvc_folder_the_message_names_the_command(root: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"has no \.dvc folder.*run `tisslm init`"):
        prepare_workspace(root, print)


def test_an_unpacked_archive_works_without_git_and_notices_git_later(root: Path) -> None:
    assert initialise_workspace(root)
    assert not initialise_workspace(root)
    assert is_without_git(root)
    assert not NO_SCM.search((root / ".dvc" / "config").read_text(encoding="utf-8")), "a fact of this machine only"
    assert dvc(root, "status").returncode == 0

    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    prepare_workspace(root, print)
    assert not is_without_git(root)
    assert dvc(root, "status").returncode == 0


def test_other_local_settings_survive(root: Path) -> None:
    initialise_workspace(root)
    (root / ".dvc" / "config.local").write_text("['remote \"store\"']\n    url = ../store\n", encoding="utf-8")
    prepare_workspace(root, print)
    assert is_without_git(root)
    assert "../store" in (root / ".dvc" / "config.local").read_text(encoding="utf-8")


@pytest.mark.parametrize("torn", ["", '{"write": {', "\x00\x00"])
def test_a_torn_lock_file_is_moved_aside_in_one_line_and_dvc_works_again(root: Path, torn: str) -> None:
    initialise_workspace(root)
    (root / "dvc.yaml").write_text("stages: {a: {cmd: echo > a.txt, outs: [a.txt]}}\n", encoding="utf-8")
    lock = root / ".dvc" / "tmp" / "rwlock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(torn, encoding="utf-8")
    assert dvc(root, "repro").returncode != 0, "DVC itself cannot get over it"
    said: list[str] = []
    repair_rwlock(root, said.append, patience_s=0.2)
    assert len(said) == 1
    assert said[0].startswith("repaired: .dvc/tmp/rwlock was torn")
    assert dvc(root, "repro").returncode == 0


def test_a_torn_lock_file_stays_while_somebody_holds_a_lock(root: Path) -> None:
    initialise_workspace(root)
    lock = root / ".dvc" / "tmp" / "rwlock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("{", encoding="utf-8")
    stage_lock = root / ".tisslm" / "locks" / "pretrain.lock"
    stage_lock.parent.mkdir(parents=True)
    with open(stage_lock, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(WorkspaceError, match=r"rwlock: is torn .* while .tisslm/locks/pretrain.lock is held"):
            repair_rwlock(root, print, patience_s=0.2)
    assert lock.exists()


def test_a_good_lock_file_is_left_alone(root: Path) -> None:
    (root / ".dvc" / "tmp").mkdir(parents=True)
    (root / ".dvc" / "tmp" / "rwlock").write_text('{"write": {}, "read": {}}', encoding="utf-8")
    repair_rwlock(root, pytest.fail)
    assert (root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8") == '{"write": {}, "read": {}}'


HOLD = """
import sys, time
from pathlib import Path
from tasks.workspace import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(root: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_with_process_and_time(root: Path) -> None:
    with holder(root, 60) as process:
        with (
            pytest.raises(BusyError, match=rf"another run works here \(process {process.pid} since \d{{4}}-.*--wait"),
            run_lock(root),
        ):
            pytest.fail("the lock was given twice")
        process.kill()
        process.wait()
        with run_lock(root):  # a killed run leaves no lock behind
            pass


def test_waiting_gets_the_lock_when_the_other_run_ends(root: Path) -> None:
    with holder(root, 1.0) as process:
        said: list[str] = []
        began = time.monotonic()
        with run_lock(root, wait=True, say=said.append):
            assert process.poll() is not None or time.monotonic() - began < 30
        assert len(said) == 1
        assert f"process {process.pid}" in said[0]


def test_a_nested_lock_in_the_same_process_is_the_same_lock(root: Path) -> None:
    with run_lock(root), run_lock(root):
        assert (root / ".tisslm" / "run.lock").exists()
    with run_lock(root):  # given back by the outer one
        assert (root / ".tisslm" / "run.lock").exists()
