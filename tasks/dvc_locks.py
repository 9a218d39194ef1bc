"""DVC's note of who works on which paths, `.dvc/tmp/rwlock`: mended where a killed process left it wrong.

The note has a process id and a command for each path, and DVC takes every process id that is in use for the holder: a
zombie, and whoever got the number next. Then the workspace is refused until somebody deletes the file by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from model.errors import IntegrityError, WorkspaceError
from model.files import read_json, write_json
from tasks.process_identity import is_zombie, still_runs

RECORDS = ".tisslm/processes"
TOLERANCE_S = 2.0
HOLDERS = ("dvc", "tisslm")


def repair_rwlock(root: Path, say: Callable[[str], None], patience_s: float = 1.0) -> None:
    """Move a torn `.dvc/tmp/rwlock` aside, take dead holders out of a whole one, and say who of them lives.

    Raises:
        WorkspaceError: The file is torn but a process still holds a lock of this workspace.
    """
    path = root / ".dvc" / "tmp" / "rwlock"
    deadline = time.monotonic() + patience_s
    while not _is_rwlock(path):
        if time.monotonic() < deadline:  # DVC writes it in place: a good file looks torn for a moment
            time.sleep(0.1)
            continue
        if held := [lock for lock in _lock_files(root) if _is_held(lock)]:
            raise WorkspaceError(
                f"{path}: is torn (a killed process left it half-written) while {held[0].relative_to(root)} is held; "
                f"wait for the other process, then delete the file and run again"
            )
        aside = path.with_name(f"rwlock.torn-{time.time_ns()}")
        path.replace(aside)
        say(f"repaired: {path.relative_to(root)} was torn by a killed process; moved aside to {aside.name}")
        return
    if path.exists():
        clear_dead_holders(root, say)


def clear_dead_holders(root: Path, say: Callable[[str], None]) -> None:
    """Take holders that have ended out of `.dvc/tmp/rwlock`; name them, and those that live."""
    path = root / ".dvc" / "tmp" / "rwlock"
    with _guard(path) as mine:
        if not mine:
            return  # DVC edits the file at this moment, so it looks after the dead by itself as far as it can
        try:
            noted, written_s = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        except (OSError, ValueError):
            return
        entries = [*noted.get("write", {}).values(), *(e for many in noted.get("read", {}).values() for e in many)]
        holders = {(entry["pid"], entry["cmd"]) for entry in entries}
        dead = {holder for holder in holders if not holder_lives(root, *holder, written_s)}
        if dead:
            write_json(path, _without(noted, dead))
    name = path.relative_to(root)
    for pid, command in sorted(dead):
        say(f"repaired: {name} was still held by process {pid} ({command}), which has ended")
    for pid, command in sorted(holders - dead):
        say(f"{name}: held by process {pid} ({command}), which runs; what it works on has to wait")


def holder_lives(root: Path, pid: int, command: str, written_s: float) -> bool:
    """Whether the process that an entry means still runs, and not another one with its number.

    Args:
        root: The workspace.
        pid: The entry's process id.
        command: The entry's command: the words of `sys.argv`, joined.
        written_s: When the file was last written (seconds since 1970): who started later is not in it.
    """
    try:
        process = psutil.Process(pid)
        if is_zombie(pid) or process.create_time() > written_s + TOLERANCE_S:
            return False
        words = " ".join(process.cmdline())
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False
    arguments = command.partition(" ")[2]
    same = bool(arguments) and words.endswith(f" {arguments}")
    with contextlib.suppress(IntegrityError, KeyError, TypeError):
        if not still_runs(read_json(root / RECORDS / f"{pid}.json")["process"]):
            return same  # the one that a run started under this number is gone; this may be a later one of the user's
    return same or any(name in words for name in HOLDERS)


def _without(noted: dict[str, Any], dead: set[tuple[int, str]]) -> dict[str, Any]:
    write = {path: e for path, e in noted.get("write", {}).items() if (e["pid"], e["cmd"]) not in dead}
    read = {path: [e for e in many if (e["pid"], e["cmd"]) not in dead] for path, many in noted.get("read", {}).items()}
    return {"write": write, "read": {path: many for path, many in read.items() if many}}


def _is_rwlock(path: Path) -> bool:
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        readers = [entry for many in noted.get("read", {}).values() for entry in many]
        entries = [*noted.get("write", {}).values(), *readers]
        return all(isinstance(e["pid"], int) and isinstance(e["cmd"], str) for e in entries)
    except FileNotFoundError:
        return True
    except (ValueError, AttributeError, TypeError, KeyError):
        return False


def _lock_files(root: Path) -> list[Path]:
    dvc = root / ".dvc" / "tmp"
    return [dvc / "lock", dvc / "rwlock.lock", *sorted((root / ".tisslm" / "locks").glob("*.lock"))]


def _is_held(path: Path) -> bool:
    try:
        with open(path, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _guard(path: Path, patience_s: float = 1.0) -> Iterator[bool]:
    """Hold the lock that DVC takes while it edits the file; false where another holds it all the time."""
    deadline = time.monotonic() + patience_s
    with open(path.with_name("rwlock.lock"), "a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.05)
        yield True
