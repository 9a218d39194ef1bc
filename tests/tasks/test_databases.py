"""MLflow's database in a workspace is whole whenever its maker was killed, and nothing in one is ever lost."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_courier import child
from test_journal import REPOSITORY
from tracked_stages import SETTINGS, deliver_here, empty_database, params, workspace

from tasks.databases import ensure_database, has_rows, revision
from tasks.journal import open_journal
from tasks.tracking import STORE_HOLDS, connect

__all__ = ["empty_database", "workspace"]

HALVES = {
    "no tables": "",
    "first tables": "CREATE TABLE runs (run_uuid TEXT); CREATE TABLE experiments (experiment_id INTEGER)",
    "no revision": "CREATE TABLE runs (run_uuid TEXT); CREATE TABLE alembic_version (version_num TEXT)",
    "an early revision": "CREATE TABLE runs (run_uuid TEXT); CREATE TABLE alembic_version (version_num TEXT);"
    "INSERT INTO alembic_version VALUES ('451aebb31d03')",
}


@pytest.mark.feature("OPS-01")
@pytest.mark.parametrize("half", HALVES)
def test_a_half_made_database_is_set_aside_with_a_line_and_the_run_goes_on(
    workspace: Path, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace / "mlflow.db").unlink()
    with sqlite3.connect(workspace / "mlflow.db") as database:
        database.executescript(HALVES[half] or "PRAGMA user_version = 1")
    with open_journal(workspace, "clean", params(), SETTINGS) as journal:
        journal.metrics({"kept": 3.0})
    deliver_here(workspace)
    assert child(workspace, "clean").data.metrics["kept"] == 3.0
    (aside,) = workspace.glob("mlflow.db.half-made-*")
    assert aside.name in caplog.text


def test_a_whole_database_and_one_with_runs_are_left_alone(workspace: Path) -> None:
    before = (workspace / "mlflow.db").read_bytes()
    connect(workspace, SETTINGS)
    assert (workspace / "mlflow.db").read_bytes() == before
    older = workspace / "older.db"
    with sqlite3.connect(older) as database:
        database.executescript("CREATE TABLE runs (run_uuid TEXT); INSERT INTO runs VALUES ('mine')")
    ensure_database(older, lambda _new: pytest.fail("made anew"), STORE_HOLDS, lambda: False)
    assert has_rows(older, STORE_HOLDS)


def test_a_making_that_fails_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    def fail(new: Path) -> None:
        new.write_bytes(b"half")
        raise OSError("killed")

    path = tmp_path / "some.db"
    with pytest.raises(OSError, match="killed"):
        ensure_database(path, fail, (), lambda: False)
    assert not path.exists()
    ensure_database(path, lambda new: sqlite3.connect(new).execute("CREATE TABLE a (b)").connection.close(), (), bool)
    assert path.is_file()
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import sys
from pathlib import Path
from tracked_stages import SETTINGS
from tasks.tracking import connect
connect(Path(sys.argv[1]), SETTINGS)
"""


@pytest.mark.slow
@pytest.mark.feature("OPS-01")
def test_a_first_connection_killed_at_any_moment_leaves_a_whole_database_or_none(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}"}
    kills = 0
    for moment in range(6):
        root = tmp_path / str(moment)
        root.mkdir()
        with subprocess.Popen([sys.executable, "-c", KILLED, str(root)], env=environment) as process:
            while process.poll() is None and not list(root.glob("mlflow.db*")):
                time.sleep(0.005)
            time.sleep(0.3 * moment)  # of the two seconds that the making takes
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
        if (root / "mlflow.db").exists():
            assert revision(root / "mlflow.db")
        connect(root, SETTINGS).client.search_experiments()
        assert not list(root.glob("mlflow.db.*")), "no litter, nothing set aside"
        shutil.rmtree(root)
    assert kills > 1
