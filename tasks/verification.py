"""Whether everything under `data/` still has the bytes that were written.

Two witnesses: the `MANIFEST.json` of every finished folder and report, and `dvc.lock`, which has the md5 of every
output. DVC itself does not look: it takes a file for unchanged while its inode, size and time are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import IntegrityError
from model.files import MANIFEST, TEMPORARY_MARK, verify_manifest
from tasks.graph import DATA, read_graph

LOCK = "dvc.lock"
REMEDY = "run `tisslm verify --repair`, then `tisslm run`"
GITS_OWN = (".gitignore", "README.md")


@dataclass(frozen=True)
class Finding:
    """What a check of one path has found.

    Attributes:
        path: Relative to the workspace.
        state: `whole`, `damaged`, `missing`, or `unchecked` where nothing says what its bytes should be.
        checked_by: The file that says so.
        problem: What is wrong, in one line.
    """

    path: str
    state: str
    checked_by: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Recorded:
    """One output as `dvc.lock` has it: its path, the md5 of its bytes (with `.dir` for a folder), its size in bytes."""

    path: str
    md5: str
    size: int | None
    n_files: int | None


def verify_data(root: Path) -> list[Finding]:
    """Check every file under `data/`, and whether `dvc.lock` and the files agree."""
    manifests = sorted(p.parent for p in (root / DATA).rglob(MANIFEST) if TEMPORARY_MARK not in str(p))
    found = [_by_manifest(root, folder) for folder in manifests]
    try:
        recorded = recorded_outputs(root)
    except IntegrityError as error:
        found.append(Finding(LOCK, "damaged", LOCK, str(error)))
        recorded = []
    kept = {path.as_posix() for stage in read_graph(root).values() for path in stage.kept.values()}
    outputs = [out for out in recorded if out.path not in kept]  # checkpoints go on after what the lock has seen
    found += [_by_lock(root, out) for out in outputs]
    covered = [root / out.path for out in outputs] + manifests
    loose = (p for p in sorted((root / DATA).rglob("*")) if p.is_file() and TEMPORARY_MARK not in str(p))
    for path in loose:
        is_gits = path.parent == root / DATA and path.name in GITS_OWN
        if not is_gits and not any(path == place or place in path.parents for place in covered):
            found.append(
                Finding(path.relative_to(root).as_posix(), "unchecked", problem="nothing says what it should be")
            )
    return found


def recorded_outputs(root: Path) -> list[Recorded]:
    """The outputs in `dvc.lock`; none where nothing has been recorded yet.

    Raises:
        IntegrityError: It cannot be read, or an entry lacks its checksum.
    """
    path = root / LOCK
    remedy = f"restore it (`git restore {LOCK}`), or {REMEDY}"
    try:
        stages: Any = (yaml.safe_load(path.read_text(encoding="utf-8")) or {})["stages"]
        return [
            Recorded(str(out["path"]), str(out["md5"]), out.get("size"), out.get("nfiles"))
            for stage in stages.values()
            for out in stage.get("outs", [])
        ]
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path}: is not a lock file of DVC ({' '.join(str(error).split())}); {remedy}") from error


def _by_manifest(root: Path, folder: Path) -> Finding:
    place = folder.relative_to(root).as_posix()
    try:
        verify_manifest(folder)
    except IntegrityError as error:
        return Finding(place, "damaged", MANIFEST, str(error))
    return Finding(place, "whole", MANIFEST)


def _by_lock(root: Path, out: Recorded) -> Finding:
    path = root / out.path
    if not path.exists():
        problem = f"{path}: missing, {LOCK} lists it; {REMEDY}"
        return Finding(out.path, "missing", LOCK, problem)
    files = (
        [p for p in sorted(path.rglob("*")) if p.is_file() and TEMPORARY_MARK not in p.name]
        if path.is_dir()
        else [path]
    )
    size = sum(p.stat().st_size for p in files)
    got: tuple[object, ...] = (output_md5(path, files), size if out.size is not None else None)
    expected: tuple[object, ...] = (out.md5, out.size)
    if out.n_files is not None:
        got, expected = (*got, len(files)), (*expected, out.n_files)
    if got == expected:
        return Finding(out.path, "whole", LOCK)
    told = ", ".join(f"{a} for {b}" for a, b in zip(got, expected, strict=True) if a != b)
    problem = f"{path}: its md5, bytes or files are not those in {LOCK} ({told}): one of the two changed; {REMEDY}"
    return Finding(out.path, "damaged", LOCK, problem)


def output_md5(path: Path, files: list[Path]) -> str:
    """The md5 of a file, or of a folder's list of files, as DVC computes it."""
    if path.is_file():
        return file_md5(path)
    listed = [{"md5": file_md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True).encode("utf-8")  # a `.dir` object of DVC, byte for byte
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def file_md5(path: Path) -> str:
    """The md5 of a file's bytes, read in bounded memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
