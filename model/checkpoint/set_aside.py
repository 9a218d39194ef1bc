"""Checkpoints of other runs, put away whole and found again by their identity.

    FOLDER-set-aside/0001-3f29c1a07b54/{step-00000120/..., best/...}

They lie beside the folder of checkpoints, on the same disk: putting them away is a rename. Inside it DVC would take
them for a part of the output; below `.tisslm/` they would go with logs and locks that anybody may delete. The number
says the order, because clocks jump.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.files import TEMPORARY_MARK, canonical_json, sha256_text, storage_errors, sync_folder


class SetAside:
    """The folder of what was put away.

    Args:
        folder: Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, source: Path, identity: Mapping[str, Any]) -> Path:
        """Move everything in `source` here, and return where it is now.

        Cut short, it leaves each checkpoint whole at one of the two places; the next call moves the rest after them.

        Args:
            source: The folder of checkpoints of one run.
            identity: Whose they are.
        """
        with storage_errors(self.folder):
            target = self._find(identity)
            if target is None:
                last = max((_number(path) for path in self._runs()), default=0)
                target = self.folder / f"{last + 1:04d}-{_name(identity)}"
                target.mkdir(parents=True)
            _move_all(source, target)
        return target

    def take_back(self, target: Path, identity: Mapping[str, Any]) -> bool:
        """Move what a run had here back into `target`; return whether there was anything."""
        source = self._find(identity)
        if source is None:
            return False
        with storage_errors(target):
            target.mkdir(parents=True, exist_ok=True)
            _move_all(source, target)
            shutil.rmtree(source)
        return True

    def keep_within(self, most_bytes: float) -> list[Path]:
        """Remove the oldest until the rest takes at most so many bytes; the newest stays. Return what was removed."""
        runs = self._runs()
        sizes = [sum(p.stat().st_size for p in run.rglob("*") if p.is_file()) for run in runs]
        removed: list[Path] = []
        while len(runs) - len(removed) > 1 and sum(sizes[len(removed) :]) > most_bytes:
            oldest = runs[len(removed)]
            shutil.rmtree(oldest)
            removed.append(oldest)
        return removed

    def _runs(self) -> list[Path]:
        """The folders of runs, the oldest first."""
        present = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted((p for p in present if p.is_dir() and _number(p)), key=_number)

    def _find(self, identity: Mapping[str, Any]) -> Path | None:
        return next((p for p in reversed(self._runs()) if p.name.endswith(f"-{_name(identity)}")), None)


def _name(identity: Mapping[str, Any]) -> str:
    return sha256_text(canonical_json(dict(identity)))[:12]


def _number(path: Path) -> int:
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def _move_all(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.name.startswith(TEMPORARY_MARK):
            continue
        if (target / path.name).exists():
            shutil.rmtree(target / path.name)
        os.rename(path, target / path.name)
    sync_folder(target)
    sync_folder(source)
