"""A version that the reports name and the registry does not hold is found without MLflow."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tracked_stages import empty_database, workspace

from tasks.graph import REPORTS
from tasks.missing_version import missing_version
from tasks.report import StageReport, write_report

__all__ = ["empty_database", "workspace"]
pytestmark = pytest.mark.feature("REG-01")


def published(root: Path, version: int) -> None:
    folder = root / REPORTS / "publish"
    folder.mkdir(parents=True)
    report = StageReport("toy: new version 1", facts={"name": "toy", "version": version})
    write_report(report, root / REPORTS / "publish.json", folder)


def test_a_registry_that_lost_the_version_is_named(workspace: Path) -> None:
    from mlflow.tracking import MlflowClient

    assert missing_version(workspace) == "", "nothing was published"
    published(workspace, 1)
    assert missing_version(workspace) == "registry lacks toy version 1"
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    client.create_registered_model("toy")
    client.create_model_version("toy", source=str(workspace / "m"), await_creation_for=0)
    assert missing_version(workspace) == ""
    (workspace / "mlflow.db").unlink()
    assert missing_version(workspace) == "registry lacks toy version 1"
    sqlite3.connect(workspace / "mlflow.db").close()
    assert missing_version(workspace) == "registry lacks toy version 1"


def test_a_registry_that_nobody_can_ask_lacks_nothing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(workspace, 1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert missing_version(workspace) == ""
