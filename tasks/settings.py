"""How a run runs: device, threads, workers, servers, logs. Never what it computes; that is `params.yaml`.

Read from `TISSLM_*` environment variables and an `.env` file in the workspace.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.errors import ConfigError

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    """Everything about a machine that must not change a result, except by rounding where it says so."""

    model_config = SettingsConfigDict(env_prefix="TISSLM_", env_file=".env", extra="ignore", frozen=True)

    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=1024,
        description="threads for tensor work; recorded with every model, since sums round differently",
    )
    workers: int = Field(2, ge=1, le=256, description="processes for work on documents; never changes a result")
    shard_runner: Literal["processes", "serial", "dask", "ray"] = Field(
        "processes", description="who works on documents; never changes a result (dask and ray are extras)"
    )
    cluster: str = Field("", description="address of a Dask or Ray cluster; empty starts one on this machine")
    pii_key: SecretStr = Field(
        SecretStr(""), description="secret behind hashed personal data (clean.pii with action hash); never recorded"
    )
    set_aside_gb: float = Field(
        5.0,
        ge=0,
        le=1e6,
        description="most GB of checkpoints of other runs in data/checkpoints-set-aside; the oldest go first",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where tensors live")
    kernels: Literal["on", "off"] = Field(
        "on", description="off: torch's own operations in place of our kernels on a CPU; results differ by rounding"
    )
    log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level shown")
    log_format: Literal["text", "json"] = Field("text", description="form of log lines on standard error")
    experiment: str = Field("tisslm", min_length=1, description="MLflow experiment")
    tracking: Literal["on", "off"] = Field("on", description="off keeps metrics in the journal until somebody syncs")
    tracking_timeout_s: float = Field(
        5.0, gt=0, le=600, description="longest wait for one answer of the tracking server"
    )
    tracking_wait_s: float = Field(20.0, ge=0, le=3600, description="longest wait for metrics to arrive after a run")
    progress: Literal["auto", "bar", "lines", "events", "none"] = Field("auto", description="how progress is shown")
    pipeline_run: str = Field("", description="id of the pipeline run that this stage belongs to (set by the flow)")
    flow_run: str = Field("", description="id of the Prefect flow run (set by the flow)")
    error_file: str = Field("", description="where a failing stage leaves its error for the flow (set by the flow)")


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigError: A variable has a wrong value; the message names the variable and what it takes.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "TISSLM_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(f"{variable}={first['input']!r}: {first['msg'].lower()}") from error


def resolved_device(settings: Settings) -> str:
    """`cpu` or `cuda`: `auto` takes the accelerator where there is one."""
    if settings.device != "auto":
        return settings.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def workspace_environment(root: Path, base: dict[str, str] | None = None) -> dict[str, str]:
    """The environment for every process that TissLM starts: telemetry off, databases in the workspace.

    What the user has set (`MLFLOW_TRACKING_URI`, `PREFECT_API_URL`, `PREFECT_HOME`) is respected.
    """
    environment = {**TELEMETRY_OFF, **(os.environ if base is None else base)}
    environment.setdefault("PREFECT_HOME", str(root.resolve() / ".tisslm" / "prefect"))
    environment.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    environment.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{root.resolve() / 'mlflow.db'}")
    return environment
