"""Checkpoints that are whole or not there.

    FOLDER/step-00000120/{model.safetensors, optimizer.safetensors, state.json, MANIFEST.json}
    FOLDER/best/                                               (the same files)
    FOLDER-set-aside/0001-IDENTITY/                            (those of other runs, see `set_aside.py`)

A checkpoint is written into a temporary sibling folder, every file synced, the manifest last, then renamed into place
and the folder synced; older ones go only after that. Reading starts from the sha256 of every file: no checkpoint
format finds a flipped bit by itself. Order is by step, never by time, because clocks jump.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.set_aside import SetAside
from model.checkpoint.tensors import pack, unpack
from model.errors import CheckpointError, ConfigError, IntegrityError
from model.files import (
    TEMPORARY_MARK,
    finished_folder,
    read_json,
    remove_litter,
    storage_errors,
    verify_manifest,
)

logger = logging.getLogger(__name__)

STEP_FOLDER = re.compile(r"step-(\d{8,})")
TENSORS_NAME = re.compile(r"[a-z][a-z0-9_]*")
STATE = "state.json"
BEST = "best"
SHOWN_KEYS, SHOWN_CHARACTERS = 3, 16


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint; load what you need before the next save prunes it.

    Attributes:
        step: Optimizer steps done.
        folder: Where it lies.
        state: `state.json`: what the caller gave, and `step`, `identity`, and `metric` for a best one.
    """

    step: int
    folder: Path
    state: dict[str, Any]

    def load(self, name: str) -> dict[str, Tensor]:
        """The tensors saved under a name, e.g. `load("model")`, on the CPU.

        Raises:
            CheckpointError: The checkpoint has no such tensors; the message names those it has.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            names = ", ".join(sorted(p.stem for p in self.folder.glob("*.safetensors")))
            raise CheckpointError(f"{self.folder}: has no tensors {name!r}; it has {names or 'none'}")
        return unpack(path)


class CheckpointManager:
    """Saves, finds, verifies and prunes the checkpoints of one run.

    Args:
        folder: Made when missing; litter of killed writes in it is removed.
        identity: What the run is (digests of params and inputs, code version, threads, library versions). A checkpoint
            of another identity is never used, and never deleted without a word.
        keep_last: Generations kept, 2 or more, so that a damaged one has one before it.
        say: Takes one line for people; by default a warning in the log.
        aside_bytes: Most bytes of other runs' checkpoints that are kept in `FOLDER-set-aside`; the oldest go first,
            and the newest stay in any case.

    Raises:
        ConfigError: `keep_last` is below 2.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        keep_last: int = 2,
        say: Callable[[str], None] = logger.warning,
        aside_bytes: float = 5e9,
    ) -> None:
        if keep_last < 2:
            raise ConfigError(f"keep_last = {keep_last}: expected 2 or more generations, one may be damaged")
        self.folder, self.identity, self.keep_last, self.say = folder, dict(identity), keep_last, say
        self.aside_bytes, self._aside = aside_bytes, SetAside(folder.with_name(f"{folder.name}-set-aside"))
        folder.mkdir(parents=True, exist_ok=True)
        remove_litter(folder)

    def save(self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then remove those that it makes superfluous.

        Kept are the newest `keep_last` up to `step`; later ones belong to a future that a resumed run has left.

        Args:
            step: Optimizer steps done.
            tensors: One file per name: `{"model": {...}, "optimizer": {...}}`.
            state: JSON values; NaN and infinities are not JSON.

        Raises:
            CheckpointError: Something in `tensors` or `state` cannot be stored; nothing was written.
            StorageError: The disk is full or not writable; the earlier checkpoints are untouched.
        """
        final = self.folder / f"step-{step:08d}"
        self._write(final, tensors, {**state, "step": step})
        older = [s for s in self._steps() if s <= step][self.keep_last :]
        for gone in [*older, *(s for s in self._steps() if s > step)]:
            self._discard(self.folder / f"step-{gone:08d}")
        return final

    def save_best(
        self, step: int, metric: float, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        """Write the best model so far over the one before; the caller has compared `metric`, it is only recorded.

        Raises:
            CheckpointError: As `save`.
            StorageError: As `save`.
        """
        final = self.folder / BEST
        self._write(final, tensors, {**state, "step": step, "metric": metric})
        return final

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this run, or None.

        A damaged one is reported in one line and the one before it is used. Checkpoints of another run are set aside,
        and one line says how it differs and where they are; if this run's own had been set aside, they come back.
        """
        found = self._newest_whole()
        if found is not None and not self._difference(found):
            return found
        if found is not None:
            self._set_aside(found)
        else:
            self.best()  # one of another run is set aside, not written over
        if self._aside.take_back(self.folder, self.identity):
            self.say(f"{self.folder}: checkpoints of this run had been set aside; they are back")
            found = self._newest_whole()
            return None if found is None or self._difference(found) else found
        if found is None and (steps := self._steps()):
            self.say(f"{self.folder}: none of {len(steps)} checkpoints is whole; starting from step 0")
        return None

    def best(self) -> Checkpoint | None:
        """The best model so far, or None when there is none, it is damaged, or of another run (a line says which)."""
        folder = self.folder / BEST
        checkpoint = self._read(folder) if folder.exists() else None
        if checkpoint is None:
            return None
        if self._difference(checkpoint):
            self._set_aside(checkpoint)
            return None
        return checkpoint

    def _newest_whole(self) -> Checkpoint | None:
        whole = (self._read(self.folder / f"step-{step:08d}") for step in self._steps())
        return next((checkpoint for checkpoint in whole if checkpoint is not None), None)

    def _set_aside(self, example: Checkpoint) -> None:
        """Put everything here away, because `example` is of another run."""
        place = self._aside.put(self.folder, example.state.get("identity", {}))
        self.say(
            f"{self.folder}: checkpoints of another run ({self._difference(example)}) set aside in {place}; a run like "
            f"theirs takes them back by itself; delete that folder if you do not need them; starting from step 0"
        )
        for gone in self._aside.keep_within(self.aside_bytes):
            self.say(
                f"{gone}: removed, the oldest checkpoints set aside: all of them had more than "
                f"{self.aside_bytes / 1e9:g} GB (TISSLM_SET_ASIDE_GB)"
            )

    def _write(self, final: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        contents: dict[str, bytes] = {}
        for name, group in tensors.items():
            if not TENSORS_NAME.fullmatch(name):
                raise CheckpointError(f"tensors {name!r}: not a file name; expected lower-case letters, digits, _")
            contents[f"{name}.safetensors"] = pack(group)
        contents[STATE] = _state_bytes({**state, "identity": self.identity})
        with storage_errors(final, sum(map(len, contents.values()))), finished_folder(final) as folder:
            for name, data in contents.items():
                with storage_errors(final / name, len(data)), open(folder / name, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())

    def _read(self, folder: Path) -> Checkpoint | None:
        """A checkpoint if every byte is as promised, else a line and None."""
        try:
            verify_manifest(folder, remedy="it is not used")
            state = read_json(folder / STATE)
            return Checkpoint(int(state["step"]), folder, state)
        except (IntegrityError, OSError, KeyError, TypeError, ValueError) as error:
            self.say(f"damaged checkpoint {folder.name}: {' '.join(str(error).split())}")
            return None

    def _difference(self, checkpoint: Checkpoint) -> str:
        """How the identity of a checkpoint differs from ours, empty when it does not."""
        theirs = checkpoint.state.get("identity", {})
        keys = sorted(k for k in self.identity.keys() | theirs.keys() if self.identity.get(k) != theirs.get(k))
        shown = [f"{k}: {_short(theirs.get(k))} there, {_short(self.identity.get(k))} now" for k in keys[:SHOWN_KEYS]]
        more = [f"{len(keys) - SHOWN_KEYS} more"] if len(keys) > SHOWN_KEYS else []
        return "; ".join(shown + more)

    def _steps(self) -> list[int]:
        """Steps that have a checkpoint, the newest first."""
        matches = (STEP_FOLDER.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def _discard(self, folder: Path) -> None:
        """Remove a checkpoint; cut short, it leaves litter that the next start removes, never half a checkpoint."""
        gone = folder.with_name(f"{TEMPORARY_MARK}gone-{folder.name}-{uuid.uuid4().hex[:8]}")
        os.rename(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _state_bytes(state: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(state, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode("utf-8")
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{STATE}: not JSON ({error}); tensors go to `tensors`, NaN is not JSON") from error


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= SHOWN_CHARACTERS else f"{value[: SHOWN_CHARACTERS - 3]}..."
