"""Stages that journal in small workspaces, for the tests of journal, courier and trace."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.courier import Courier
from tasks.params import Params, parse_params
from tasks.settings import Settings

SETTINGS = Settings(tracking="off", progress="none", tracking_timeout_s=60, _env_file=None)


def params(steps: int = 10) -> Params:
    """Valid params, different for a different number of steps."""
    return parse_params({"pretrain": {"steps": steps, "warmup_steps": 1}})


def deliver_here(root: Path) -> None:
    """One round of the courier in this process."""
    Courier(root, SETTINGS).send_all()


def runs(root: Path) -> list[Any]:
    """All MLflow runs of a workspace, oldest first."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


def history(root: Path, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Every (step, value) that MLflow has of a metric."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return sorted((m.step, m.value) for m in client.get_metric_history(run_id, metric))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables, made once since that takes seconds."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with an empty tracking database and no tracking server of whoever runs the tests."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    return tmp_path
