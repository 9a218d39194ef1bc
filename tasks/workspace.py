"""The folder that a run happens in: found, made usable by DVC with and without git, locked for one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from model.errors import BusyError, WorkspaceError
from tasks.dvc_locks import repair_rwlock

STATE = ".tisslm"
RUN_LOCK = f"{STATE}/run.lock"
NO_SCM = re.compile(r"^\s*no_scm\s*=\s*true\s*$", re.IGNORECASE | re.MULTILINE)

_locked_here: set[Path] = set()


def find_workspace(start: Path | None = None) -> Path:
    """The nearest folder, from `start` (the current folder) upwards, with `dvc.yaml` and `params.yaml`.

    Raises:
        WorkspaceError: There is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    raise WorkspaceError(
        f"{start}: neither this folder nor one above it has dvc.yaml and params.yaml; "
        "go to a clone of the TissLM repository and run again"
    )


def prepare_workspace(root: Path, say: Callable[[str], None]) -> None:
    """Make DVC work in `root`, in a git repository and without one, and repair what a killed run left.

    Raises:
        WorkspaceError: The folder was never initialised for DVC, or a torn lock file may still be in use.
    """
    if not (root / ".dvc").is_dir():
        raise WorkspaceError(f"{root}: has no .dvc folder, so results cannot be recorded; run `tisslm init` there once")
    set_no_scm(root, not in_git(root))
    repair_rwlock(root, say)
    (root / STATE).mkdir(exist_ok=True)


def initialise_workspace(root: Path) -> bool:
    """Create `.dvc` (as `dvc init` does, its telemetry off); return whether there was anything to do."""
    if (root / ".dvc").is_dir():
        return False
    from dvc.config import Config
    from dvc.repo import Repo

    without_git = not in_git(root)
    Repo.init(str(root), no_scm=without_git, subdir=not without_git and not (root / ".git").exists()).close()
    with Config(str(root / ".dvc")).edit("repo") as config:
        config.setdefault("core", {}).update({"analytics": False, "check_update": False})
        config["core"].pop("no_scm", None)  # true of this machine only, so it belongs into config.local
    set_no_scm(root, without_git)
    return True


def in_git(root: Path) -> bool:
    """Whether a git repository holds `root`."""
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))


def set_no_scm(root: Path, no_scm: bool) -> None:
    """Tell DVC, in the configuration of this machine only, whether it has to do without git."""
    local = root / ".dvc" / "config.local"
    if no_scm == any(NO_SCM.search(_text(path)) for path in (local, root / ".dvc" / "config")):
        return
    if not no_scm and not NO_SCM.search(_text(local)):
        return
    from dvc.config import Config

    with Config(str(root / ".dvc")).edit("local") as config:
        core = config.setdefault("core", {})
        if no_scm:
            core["no_scm"] = True
        else:
            core.pop("no_scm", None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def run_lock(root: Path, wait: bool = False, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the workspace for one pipeline run; a nested call in the same process holds it already.

    The kernel gives the lock back however the process ends, so a killed run never leaves one behind.

    Raises:
        BusyError: Another run holds it and `wait` is false; the message names its process and since when it runs.
    """
    path = (root / RUN_LOCK).resolve()
    if path in _locked_here:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(path)
            if not wait:
                raise BusyError(
                    f"{root}: another run works here ({holder}); wait for it, or queue behind it with --wait"
                ) from error
            if say is not None:
                say(f"waiting for another run in this workspace ({holder})")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} since {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}")
        file.flush()
        _locked_here.add(path)
        try:
            yield
        finally:
            _locked_here.discard(path)


def _holder(path: Path) -> str:
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:  # the holder writes its name just after it took the lock
        if text := path.read_text(encoding="utf-8").strip():
            return text
        time.sleep(0.05)
    return "unknown process"
