"""Finished units of an unfinished stage, so that a stage that was killed goes on where it stopped.

    .tisslm/work/ingest-3f2a.../<unit's key>/done/    what the unit wrote, RESULT.json, MANIFEST.json

A unit's folder appears whole or not at all (`model.files.finished_folder`) and is verified before it is used again;
a damaged one is done again. The name of the store holds the identity of the work: other settings, other code or other
inputs never see its units. At the end of the stage the store is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from model.corpus.shard_runner import ShardRunner
from model.errors import BusyError, IntegrityError
from model.files import (
    canonical_json,
    finished_folder,
    read_json,
    sha256_file,
    sha256_text,
    storage_errors,
    verify_manifest,
    write_text,
)

WORK = Path(".tisslm") / "work"
RESULT = "RESULT.json"
U = TypeVar("U", bound="Unit")


class Unit(Protocol):
    """A piece of a stage's work.

    Attributes:
        key: Names the unit's content in a file name: equal keys promise equal results.
        name: What people call it.
    """

    @property
    def key(self) -> str:
        """See the class."""
        ...

    @property
    def name(self) -> str:
        """See the class."""
        ...


@dataclass(frozen=True)
class UnitStore:
    """The finished units of one stage's work; picklable.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def unit_folder(self, key: str) -> Path:
        """Where a finished unit's files lie."""
        return self.folder / key / "done"

    def result(self, key: str) -> Any:
        """What a unit's function returned, or None where the unit is not finished or its bytes have changed."""
        folder = self.unit_folder(key)
        if not folder.is_dir():
            return None
        try:
            verify_manifest(folder)
            return read_json(folder / RESULT)
        except IntegrityError:
            shutil.rmtree(folder, ignore_errors=True)
            return None


@contextlib.contextmanager
def open_unit_store(root: Path, stage: str, identity: dict[str, Any]) -> Iterator[UnitStore]:
    """The store of a stage's work, with whatever an earlier attempt at the same work has finished.

    It is removed when the block ends well and kept when it fails. Stores of other work of the same stage are removed
    at once: nobody will go on with them.

    Args:
        root: The workspace.
        stage: Name of the stage.
        identity: Everything that decides the results beside what the units' keys say; JSON values.

    Raises:
        BusyError: Another process works on the same stage here.
        StorageError: The folder cannot be written.
    """
    work = root / WORK
    folder = work / f"{stage}-{sha256_text(canonical_json(identity))[:16]}"
    with storage_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    for other in sorted(work.glob(f"{stage}-*.lock")):
        if other != _lock_of(folder):
            with contextlib.suppress(BusyError), _locked(other):
                _remove(other.with_suffix(""))
    with _locked(_lock_of(folder)):
        with storage_errors(folder):
            folder.mkdir(exist_ok=True)
        yield UnitStore(folder)
        _remove(folder)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel gives it back however the process ends."""
    while True:
        with open(path, "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    f"{path.with_suffix('')}: another process does the same work here; wait for it, then try again"
                ) from error
            if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                continue  # removed by its holder after we had opened it
            yield
            return


def run_units(
    runner: ShardRunner,
    store: UnitStore,
    function: Callable[[U, Path], Any],
    units: Sequence[U],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Any]:
    """Do every unit that is not done yet; return all results in the order of the units.

    Args:
        runner: Where the work happens.
        store: Keeps what is done; `store.unit_folder(unit.key)` holds a unit's files afterwards.
        function: Gets a unit and an empty folder to fill; picklable. What it returns is kept as JSON, so it comes
            back as JSON gives it (lists for tuples, keys sorted), whether it was computed now or earlier.
        units: With keys that differ.
        on_done: Told the number of finished units.
    """
    assert len({unit.key for unit in units}) == len(units), "two units have the same key"  # noqa: S101
    return runner(_Kept(store, function), units, on_done)


@dataclass(frozen=True)
class _Kept:
    """A function of (unit, folder) as one of a unit alone, whose results stay in a store."""

    store: UnitStore
    function: Callable[[Any, Path], Any]

    def __call__(self, unit: Unit) -> Any:
        found = self.store.result(unit.key)
        if found is not None:
            return found["result"]
        final = self.store.unit_folder(unit.key)
        with finished_folder(final) as folder:
            write_text(folder / RESULT, canonical_json({"result": self.function(unit, folder)}))
        return read_json(final / RESULT)["result"]


def link_file(source: Path, target: Path) -> None:
    """Give a finished unit's file a second name, or copy it where the file system has no links.

    Raises:
        StorageError: The disk is full.
    """
    with storage_errors(target, source.stat().st_size):
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def code_digest(*folders: Path) -> str:
    """The digest of all Python files below some folders: results of other code are not used again."""
    files = sorted((path.relative_to(folder).as_posix(), path) for folder in folders for path in folder.rglob("*.py"))
    return sha256_text(canonical_json([(name, sha256_file(path)) for name, path in files]))
