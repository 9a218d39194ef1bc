"""Run one stage: `python -m tasks STAGE` is the command of every stage in `dvc.yaml`.

The runner reads and validates the params, verifies the inputs' manifests and reports, opens the journal, calls the
stage's function into a temporary folder, writes the manifest, moves the folder into place and writes the report. The
stage function itself knows none of this: it takes a frozen config and paths and runs the same from a test or a REPL.

    def clean(config: CleanConfig, raw: Path, out: Path, journal: Journal, ...) -> StageReport

Arguments are filled by name: `config` (the stage's section), the last name of every input folder (`raw`, `tokens`),
`out` (the folder to fill), the last name of every kept folder (`checkpoints`), `journal`, and, where the function
asks for them, `report_folder`, `reports` (the folder of all reports), `device`, `workers`, `runner` (who works on
shards), `pii_key`, `set_aside_bytes`, `root` (the workspace), `params` (all sections).
"""

from __future__ import annotations

import fcntl
import importlib
import inspect
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.errors import BusyError, ConfigError
from model.files import finished_folder, folder_digest, verify_manifest
from tasks.graph import REPORTS, Stage, read_graph
from tasks.journal import Journal, open_journal
from tasks.params import Params, read_params
from tasks.report import StageReport, verify_report, write_report
from tasks.settings import Settings, read_settings, resolved_device
from tasks.shard_runners import shard_runner


def run_stage(name: str, root: Path = Path()) -> StageReport:
    """Run a stage in the workspace `root` (the current folder) and leave output and report where DVC expects them.

    Raises:
        TissLMError: Any mistake of a user; the old output is already gone (DVC removes it), kept folders stay.
    """
    graph = read_graph(root)
    if name not in graph:
        raise ConfigError(f"{name}: no such stage; dvc.yaml has {', '.join(graph)}")
    stage, settings, params = graph[name], read_settings(), read_params(root / "params.yaml")
    limit_threads(settings.threads)
    os.environ["TISSLM_KERNELS"] = settings.kernels  # read when the network is first used; .env may have said it
    with stage_lock(root, name), open_journal(root, name, params, settings) as journal:
        digests = {key: verify_manifest(root / path) for key, path in stage.inputs.items()}
        for other in stage.reports:
            verify_report(root / REPORTS, other)
        journal.tags({f"input.{key}": digest for key, digest in digests.items()})
        report = _call(stage, root, params, settings, journal)
        journal.tags({"output": folder_digest(root / stage.output)})
        journal.metrics(report.metrics)
        journal.artifact(root / stage.metrics_file, "report")
        for path in sorted((root / stage.report_folder).glob("*")):
            if path.is_file():
                journal.artifact(path, "report")
    return report


def _call(stage: Stage, root: Path, params: Params, settings: Settings, journal: Journal) -> StageReport:
    function = stage_function(stage.name)
    started = time.monotonic()
    report_folder = root / stage.report_folder
    shutil.rmtree(report_folder, ignore_errors=True)
    report_folder.mkdir(parents=True)
    for path in stage.kept.values():
        (root / path).mkdir(parents=True, exist_ok=True)
    with finished_folder(root / stage.output) as out:
        available: dict[str, Any] = {
            "config": getattr(params, stage.name),
            "out": out,
            "journal": journal,
            "report_folder": report_folder,
            "reports": root / REPORTS,
            "workers": settings.workers,
            "runner": shard_runner(settings.workers, settings),
            "pii_key": settings.pii_key.get_secret_value().encode() or None,
            "set_aside_bytes": settings.set_aside_gb * 1e9,
            "params": params,
            "root": root,
            **{key: root / path for key, path in (stage.inputs | stage.kept).items()},
        }
        wanted = inspect.signature(function).parameters
        if "device" in wanted:
            available["device"] = resolved_device(settings)
        report = function(**{key: available[key] for key in wanted})
    metrics = {
        **report.metrics,
        "seconds": round(time.monotonic() - started, 2),
        "peak_memory_mb": round(peak_memory_bytes() / 1e6, 1),
    }
    report = replace(report, metrics=metrics)
    write_report(report, root / stage.metrics_file, report_folder)
    return report


def stage_function(name: str) -> Callable[..., StageReport]:
    """The function of a stage: `tasks.NAME.NAME`, imported only now so that no stage pays for another's imports."""
    function: Callable[..., StageReport] = getattr(importlib.import_module(f"tasks.{name}"), name)
    return function


def limit_threads(threads: int) -> None:
    """Tell every numeric library how many threads to use, before any of them is imported.

    Waiting threads sleep instead of spinning (`OMP_WAIT_POLICY`, unless it is set): as soon as anything else wants a
    core, spinning threads keep the thread that they wait for from running, and a step takes up to ten times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def peak_memory_bytes() -> int:
    """The largest resident size that this process or one of its finished children has had."""
    scale = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * scale
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would begin with the size of the process that started this one
        high_water = next((row for row in status.read_text().splitlines() if row.startswith("VmHWM:")), None)
        if high_water is not None:
            return max(int(high_water.split()[1]) * 1024, children)
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale, children)


@contextmanager
def stage_lock(root: Path, name: str) -> Iterator[None]:
    """Hold a stage's lock in this workspace; the kernel gives it back however the process ends.

    Raises:
        BusyError: The stage already runs here; the message names the process.
    """
    path = root / ".tisslm" / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise BusyError(
                f"stage {name}: already runs in this workspace (process {holder}); end it or wait, then try again"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
