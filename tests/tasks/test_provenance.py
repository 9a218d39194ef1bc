"""Where a result comes from, with git and without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tracked_stages import SETTINGS, params

from tasks.provenance import code_version, library_versions, lock_entries, machine, provenance_tags


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=toy", "-c", "user.email=toy@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("code.py", "dvc.lock"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "toy")
    return tmp_path


@pytest.mark.feature("PIPE-05")
def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    code = code_version(repository)
    assert (code.commit, code.branch, code.dirty) == (git(repository, "rev-parse", "HEAD"), "main", False)


def test_dvc_lock_alone_does_not_make_a_tree_dirty(repository: Path) -> None:
    (repository / "dvc.lock").write_text("2", encoding="utf-8")
    assert not code_version(repository).dirty
    git(repository, "add", "dvc.lock")
    assert not code_version(repository).dirty


@pytest.mark.parametrize("name", ["code.py", "new.py", "folder/dvc.lock", "my dvc.lock"])
def test_any_other_change_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("changed", encoding="utf-8")
    assert code_version(repository).dirty


def test_a_renamed_file_makes_it_dirty(repository: Path) -> None:
    git(repository, "mv", "code.py", "moved.py")
    assert code_version(repository).dirty


def test_passwords_in_the_remote_are_left_out(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://user:secret@git.example/x.git")
    assert code_version(repository).remote == "https://git.example/x.git"


@pytest.mark.parametrize("state", ["no git", "no commit"])
def test_without_a_commit_the_rest_is_still_recorded(tmp_path: Path, state: str) -> None:
    if state == "no commit":
        git(tmp_path, "init", "-q")
    tags = provenance_tags(tmp_path, params(), SETTINGS)
    assert "git_commit" not in tags
    assert tags["params_digest"] == params().digest
    assert tags["library.torch"].startswith("2.")
    assert int(tags["machine.memory_bytes"]) > 0


def test_libraries_and_machine_are_named() -> None:
    assert {"python", "torch", "numpy"} <= set(library_versions())
    assert machine()["cpu"]


@pytest.mark.parametrize("text", [None, "", "][", "stages: {a: {cmd: x}, b: {cmd: y}}"])
def test_lock_entries_are_those_of_the_stages_asked_for(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "dvc.lock").write_text(text, encoding="utf-8")
    expected = {"a": {"cmd": "x"}} if text and "stages" in text else {}
    assert lock_entries(tmp_path, ["a", "c"]) == expected
