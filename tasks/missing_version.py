"""Whether the registry holds the version that `data/reports/publish` names; a lost `mlflow.db` is found so.

Asked before every run, also one with nothing to do: the database in the workspace is read as it is, since to import
MLflow takes seconds.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from model.errors import IntegrityError, TissLMError
from tasks.graph import REPORTS
from tasks.registry import REMEDY, open_registry
from tasks.report import read_report
from tasks.tracking import default_uri, tracking_errors, tracking_uri

LISTED = "SELECT 1 FROM model_versions WHERE name = ? AND version = ?"


def missing_version(root: Path) -> str:
    """In words, which published version the registry lacks; empty where it has it, none is, or nobody can tell."""
    try:
        facts = read_report(root / REPORTS, "publish").facts
        name, version = str(facts["name"]), int(facts["version"])
    except (IntegrityError, KeyError, TypeError, ValueError):
        return ""
    said = f"registry lacks {name} version {version}"
    if tracking_uri(root) != default_uri(root):
        try:
            with tracking_errors(root, REMEDY):
                return "" if open_registry(root, name).get(version) else said
        except TissLMError:
            return ""  # publish itself, when it has to work, says that the server is away
    path = root / "mlflow.db"
    if not path.is_file():
        return said
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=20.0)) as connection:
            return "" if connection.execute(LISTED, (name, version)).fetchone() else said
    except sqlite3.OperationalError as error:
        return said if "no such table" in str(error) else ""
    except sqlite3.Error:
        return ""
