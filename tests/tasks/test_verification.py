"""A flipped bit in any file that a run has left is found, named, and repaired by the command that the message names."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path

import pytest
from workspaces import Workspace

from tasks.verification import Finding, verify_data

pytestmark = pytest.mark.slow


def kind_of(path: Path) -> str:
    """Files of one kind have the same name but for their numbers, in the same folder but for its numbers."""
    return "".join("0" if character.isdigit() else character for character in path.as_posix())


def files_to_damage(root: Path) -> list[Path]:
    """One file of each kind: everything under `data/` that is not git's, and `dvc.lock`."""
    found = {kind_of(p.relative_to(root)): p for p in sorted((root / "data").rglob("*")) if p.is_file()}
    gits = {"data/.gitignore", "data/README.md"}
    return [path for kind, path in found.items() if kind not in gits and path.stat().st_size]


def flip(path: Path, place: int | None = None) -> None:
    """Make one bit of a file another, its size and time as before: what a disk does. Twice makes it whole."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    path.chmod(0o644)  # objects in DVC's cache are write-protected
    with open(path, "r+b") as file:
        file.write(data)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damaged(root: Path) -> list[Finding]:
    return [finding for finding in verify_data(root) if finding.state == "damaged"]


@pytest.mark.feature("PIPE-05")
def test_a_flipped_bit_in_each_kind_of_file_is_found_and_named(own_finished_workspace: Workspace) -> None:
    root = own_finished_workspace.root
    assert [f for f in verify_data(root) if f.state != "whole"] == []
    draw = random.Random(0)
    files = files_to_damage(root)
    names = {path.relative_to(root / "data").parts[0] for path in files}
    assert {"raw", "clean", "tokens", "pretrained", "checkpoints", "published", "reports"} <= names
    for path in files:
        place = draw.randrange(path.stat().st_size)
        flip(path, place)
        found = damaged(root)
        assert found, path
        named = " ".join(finding.problem for finding in found)
        assert path.name in named or any((root / f.path) in path.parents for f in found), path
        flip(path, place)
    assert [f for f in verify_data(root) if f.state != "whole"] == []


@pytest.mark.feature("PIPE-05")
def test_dvc_lock_and_the_files_must_agree(own_finished_workspace: Workspace) -> None:
    root = own_finished_workspace.root
    lock = (root / "dvc.lock").read_text(encoding="utf-8")
    place = lock.index("md5: ", lock.index("path: data/raw\n")) + len("md5: ")
    flip(root / "dvc.lock", place)
    (found,) = damaged(root)
    assert (found.path, found.checked_by) == ("data/raw", "dvc.lock")
    flip(root / "dvc.lock", place)
    flip(root / "dvc.lock", lock.index("stages:"))
    (found,) = damaged(root)
    assert found.path == "dvc.lock"


DAMAGES = (
    "data/pretrained/model.safetensors",
    "data/reports/evaluate.json",
    "data/clean/train/part-00000.parquet",
    "data/checkpoints/best/model.safetensors",
    "data/published/quantized/model.safetensors",
    "data/reports/datasheet.md",
)


def cached(root: Path, name: str) -> Path:
    """DVC's copy of an output's file."""
    md5 = hashlib.md5((root / name).read_bytes(), usedforsecurity=False).hexdigest()
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


@pytest.mark.feature("PIPE-05")
def test_what_is_damaged_is_repaired_from_the_cache_or_made_again(own_finished_workspace: Workspace) -> None:
    root, run = own_finished_workspace.root, own_finished_workspace.run
    run("dvc", "status")  # DVC takes note of the files as they are
    both = "data/evaluated/evaluation.json"
    whole = {name: (root / name).read_bytes() for name in (*DAMAGES, both)}
    copy = cached(root, both)
    for path in (copy, *(root / name for name in whole)):
        flip(path)
    assert "up to date" in run("dvc", "status").stdout  # it believes its notes
    run("dvc", "checkout", "--force")
    refused = run("tisslm", "verify", "--json")
    assert refused.returncode == 7
    assert "run `tisslm verify --repair`, then `tisslm run`" in refused.stderr
    problems = " ".join(row.get("problem", "") for row in json.loads(refused.stdout))
    assert [name for name in whole if Path(name).name not in problems] == []

    repaired = run("tisslm", "verify", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert {name: (root / name).read_bytes() for name in DAMAGES} == {name: whole[name] for name in DAMAGES}
    assert "data/pretrained: damaged; set aside as .tisslm/damaged/" in repaired.stdout
    assert "data/evaluated: its copy in DVC's cache was damaged too and is removed" in repaired.stdout
    assert "data/evaluated: has no whole copy in DVC's cache; `tisslm run` makes it again" in repaired.stdout

    done = run("tisslm", "run")
    assert done.returncode == 0, done.stderr
    assert (root / both).read_bytes() == copy.read_bytes() == whole[both]
    assert run("tisslm", "verify").returncode == 0
