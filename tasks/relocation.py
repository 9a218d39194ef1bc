"""Let a workspace be moved or copied: MLflow writes absolute artifact paths into the workspace's own database.

Without this a moved workspace would not find its models, and a copied one would write into the original.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
BUSY_S = 20.0


def relocate(root: Path, experiment: str) -> bool:
    """Point the artifact paths in `mlflow.db` at this folder's `mlruns/`; True when they pointed elsewhere.

    The experiment's own location tells where the workspace was; rows of other places are left alone.
    """
    database = root / "mlflow.db"
    if not database.is_file():
        return False
    here = (root.resolve() / "mlruns").as_uri()
    with contextlib.closing(sqlite3.connect(database, timeout=BUSY_S)) as connection:
        try:
            found = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,))
            row = found.fetchone()
        except sqlite3.OperationalError:
            return False  # no tables yet
        there = row[0].rpartition("/")[0] if row and row[0] else ""
        if there == here or not (there.startswith("file://") and there.endswith("/mlruns")):
            return False
        with connection:
            for table, column in PLACES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (here, len(there) + 1, len(there) + 1, f"{there}/"),
                )
    return True
