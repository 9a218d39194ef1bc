"""What DVC thinks is up to date, asked in this process; DVC alone decides.

One thing DVC cannot see: whether the registry still holds the version that `publish` made. Where it does not, the stage
counts as changed.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from model.errors import BusyError, WorkspaceError
from tasks.missing_version import missing_version

DVC_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
PUBLISH = "publish"
_one_at_a_time = threading.Lock()  # DVC's locks do not protect the threads of one process from each other


def changed_stages(root: Path, stages: list[str] | None = None) -> dict[str, list[str]]:
    """The stages that DVC would run, each with its reasons in words: `data/clean modified`.

    Args:
        root: The workspace.
        stages: Look at these only; all stages otherwise.

    Raises:
        BusyError: Another DVC process holds the workspace.
        WorkspaceError: DVC cannot read the workspace.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    for (
        name
    ) in DVC_LOGGERS:  # the level decides over DVC's progress bars too: at ERROR a terminal gets 200 lines of them
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _one_at_a_time:
        try:
            with Repo(str(root)) as repo:
                status = repo.status(targets=stages) if stages is not None else repo.status()
        except LockError as error:
            held = " ".join(str(error).split())[:300]
            raise BusyError(f"{root}: another DVC process works here ({held}); wait for it and run again") from error
        except DvcException as error:
            raise WorkspaceError(f"{root}: DVC cannot tell what changed: {' '.join(str(error).split())}") from error
    changed = {name: _reasons(entries) for name, entries in status.items()}
    if PUBLISH not in changed and (stages is None or PUBLISH in stages) and (lacking := missing_version(root)):
        changed[PUBLISH] = [lacking]
    return changed


def _reasons(entries: list[Any]) -> list[str]:
    reasons = []
    for entry in entries:
        if isinstance(entry, str):
            reasons.append(entry)
            continue
        for kind, items in entry.items():
            if not isinstance(items, dict):
                reasons.append(f"{kind} {items}")
                continue
            for path, state in items.items():
                inner = state if isinstance(state, dict) else {path: state}
                reasons += [f"{name} {what}" for name, what in inner.items()]
    return reasons
