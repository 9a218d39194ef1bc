"""The SQLite databases of MLflow and Prefect in a workspace: made whole, or not at all.

Both libraries create their tables one by one in place. A process killed meanwhile leaves a database that they neither
use nor mend. So the tables are made in a file beside it, which takes the database's name when it is whole; what an
older version left half-made, with nothing in it, is set aside.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from model.files import storage_errors, sync_folder

COMPANIONS = ("-journal", "-wal", "-shm")
NEW = ".new"
log = logging.getLogger("tisslm")


def ensure_database(
    path: Path, make: Callable[[Path], None], holds: Sequence[str], is_whole: Callable[[], bool]
) -> None:
    """Have a whole database at `path`; call it while no other process may do the same.

    Args:
        path: The database.
        make: Creates all tables in the new file that it is given, and closes it.
        holds: Tables with what people would miss; a database with a row in one of them is left as it is.
        is_whole: Whether the database that is there has all its tables; asked only where it holds nothing.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    new = path.with_name(path.name + NEW)
    if path.is_file() and path.stat().st_size and (has_rows(path, holds) or is_whole()):
        return
    if path.is_file() and path.stat().st_size:
        aside = path.with_name(f"{path.name}.half-made-{time.time_ns()}")
        _move(path, aside)
        log.warning("%s: was half-made by a killed process and held nothing; moved aside to %s", path, aside.name)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in (new, *(new.with_name(new.name + end) for end in COMPANIONS)):
            name.unlink(missing_ok=True)
    make(new)
    with storage_errors(path):
        with contextlib.closing(sqlite3.connect(new)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_folder(path.parent)


def has_rows(path: Path, tables: Sequence[str]) -> bool:
    """Whether any of these tables has a row; a database that cannot be read counts as if, so that nobody moves it."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=20.0)) as connection:
            there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return any(
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608  (names of our own)
                for table in tables
                if table in there
            )
    except sqlite3.Error:
        return True


def revision(path: Path) -> str:
    """Which state of its tables a database has, in Alembic's name; empty where its making never ended."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=20.0)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else ""
    except sqlite3.Error:
        return ""


def _move(path: Path, aside: Path) -> None:
    for end in ("", *COMPANIONS):
        source = path.with_name(path.name + end)
        if source.exists():
            shutil.move(source, aside.with_name(aside.name + end))
