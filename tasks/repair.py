"""Makes damaged outputs whole again: what is damaged is set aside, what DVC's cache still has is put back.

`dvc checkout --force` alone does not do that. It believes its notes about a file (inode, size, time) and calls a
flipped bit up to date; and it copies a damaged object out of its cache, since it trusts what is write-protected.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from model.errors import WorkspaceError
from tasks.graph import read_graph
from tasks.verification import LOCK, Finding, Recorded, file_md5, recorded_outputs
from tasks.workspace import STATE, run_lock

ASIDE = f"{STATE}/damaged"


def repair_data(root: Path, findings: Iterable[Finding], say: Callable[[str], None]) -> None:
    """Set damaged outputs aside and restore those that DVC's cache has whole; the others are left to the next run.

    Args:
        root: The workspace.
        findings: What `verify_data` has found.
        say: Told what was done, line by line.

    Raises:
        BusyError: A run is going on here.
        WorkspaceError: DVC cannot put an output back.
    """
    damaged = list(dict.fromkeys(finding.path for finding in findings if finding.state in ("damaged", "missing")))
    with run_lock(root):
        aside = root / ASIDE / f"{time.time_ns()}"
        if LOCK in damaged:
            _set_aside(root, LOCK, aside, say)
        recorded = {out.path: out for out in recorded_outputs(root)}
        places = list(dict.fromkeys(_place(root, path) for path in damaged if path != LOCK))
        for place in places:
            if (root / place).exists():
                _set_aside(root, place, aside, say)
        _put_back(root, [recorded[place] for place in places if place in recorded], say)
        for place in places:
            if place not in recorded or not (root / place).exists():
                say(f"{place}: has no whole copy in DVC's cache; `tisslm run` makes it again")


def _place(root: Path, path: str) -> str:
    """What has to go together: the output that a path lies in, or one checkpoint of an unfinished training.

    The best weights cannot be made again without the steps before them, so they take all checkpoints along.
    """
    for stage in read_graph(root).values():
        for kept in map(Path.as_posix, stage.kept.values()):
            if path.startswith(f"{kept}/"):
                return kept if Path(path).name == "best" else path
        for output in (stage.output, stage.report_folder):
            if path == output.as_posix() or path.startswith(f"{output.as_posix()}/"):
                return output.as_posix()
    return path


def _set_aside(root: Path, place: str, aside: Path, say: Callable[[str], None]) -> None:
    target = aside / place
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / place).rename(target)
    say(f"{place}: damaged; set aside as {target.relative_to(root)}, delete that when you need nothing of it")


def _put_back(root: Path, outputs: list[Recorded], say: Callable[[str], None]) -> None:
    if not outputs or not (root / ".dvc").is_dir():
        return
    from dvc.exceptions import CheckoutError, DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            for out in outputs:
                if not _cache_has(repo, out, say):
                    continue
                with contextlib.suppress(CheckoutError):  # the caller sees that it is not there
                    repo.checkout(targets=[str(root / out.path)], force=True)
                    say(f"{out.path}: restored from DVC's cache")
    except DvcException as error:
        raise WorkspaceError(f"{root}: DVC cannot restore outputs: {' '.join(str(error).split())}") from error


def _cache_has(repo: Any, out: Recorded, say: Callable[[str], None]) -> bool:
    """Whether the cache has an output whole; what is damaged there is removed, or DVC would give it out again."""
    whole = True
    for md5, path in _objects(repo, out):
        if not path.is_file():
            whole = False
        elif file_md5(path) != md5.removesuffix(".dir"):
            path.chmod(0o644)
            path.unlink()
            say(f"{out.path}: its copy in DVC's cache was damaged too and is removed ({path.name[:12]}...)")
            whole = False
    return whole


def _objects(repo: Any, out: Recorded) -> Iterator[tuple[str, Path]]:
    """The md5 and the path of each object that an output needs; a folder's list of files comes first."""
    cache = repo.cache.local
    listing = Path(cache.oid_to_path(out.md5))
    yield out.md5, listing
    if out.md5.endswith(".dir") and listing.is_file():
        for entry in json.loads(listing.read_text(encoding="utf-8")):
            yield entry["md5"], Path(cache.oid_to_path(entry["md5"]))
