"""Asks DVC to reproduce one stage in a process of its own, and says how it ended."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import model.errors
from flows.freshness import changed_stages
from flows.outcome import How, Observer, Outcome
from flows.processes import Processes
from model.errors import BusyError, ConfigError, IntegrityError, StorageError, TissLMError, said_by
from model.files import FULL_DISK_ERRORS, read_json
from tasks.graph import read_graph
from tasks.report import read_report
from tasks.settings import workspace_environment

PROGRESS_MARK = "@progress "
LOCK_SIGNS = ("Unable to acquire lock", "is busy, it is being blocked by", "already runs in this workspace")
DVC_CHATTER = ("Use `dvc push`", "To track the changes with git", "To enable auto staging", "git add ", "> python -m")
NOT_THE_STAGE = ("ERROR:", "WARNING:", "Running stage", ">")
TAIL_LINES = 40


class StoppedError(TissLMError):
    """The run was asked to stop."""

    exit_code = 130


@dataclass
class Reproducer:
    """Reproduces stages of one workspace for one pipeline run.

    Attributes:
        root: The workspace.
        pipeline_run: Id that all stages of this run carry into MLflow.
        flow_run: Id of the Prefect flow run.
        observer: Who is told what happens.
        processes: Where the processes are kept.
    """

    root: Path
    pipeline_run: str
    flow_run: str
    observer: Observer
    processes: Processes
    _started: set[str] = field(default_factory=set)

    def reproduce(self, stage: str, force: bool, log: Callable[[str], None]) -> Outcome:
        """Bring one stage up to date; its inputs are taken as they are.

        Raises:
            TissLMError: The stage failed: the error it left, with its class, message and exit code.
            BusyError: A lock is held; the same call may work a moment later.
            StoppedError: The run was asked to stop.
        """
        began = time.monotonic()
        self._stop_if_asked()
        if not force and not changed_stages(self.root, [stage]):
            return self._done(stage, "unchanged", began)
        acts = read_graph(self.root)[stage].has_side_effects
        force = force or acts  # else DVC fetches an old result from its cache, and what it did elsewhere is not done
        if stage not in self._started:
            self._started.add(stage)
            self.observer.started(stage)
        error_file = self.root / ".tisslm" / "errors" / f"{self.pipeline_run}-{stage}.json"
        error_file.parent.mkdir(parents=True, exist_ok=True)
        error_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
        command += ["--force"] if force else []
        command += ["--no-run-cache"] if acts else []
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        how: How = "worked"
        with self.processes.start(command, self.root, self._environment(error_file), f"stage {stage}") as process:
            for raw in process.stdout or ():
                line = raw.rstrip("\r\n")
                if self.processes.stopping.is_set() or self._take_progress(stage, line):
                    continue
                tail.append(line)
                if line.startswith(f"Stage '{stage}' didn't change"):
                    how = "unchanged"
                elif line.startswith(f"Stage '{stage}' is cached"):
                    how = "restored"
                if line.strip() and not line.lstrip().startswith(DVC_CHATTER):
                    log(line)
                    self.observer.line(stage, line)
            code = process.wait()
        self._stop_if_asked()
        if code:
            raise stage_error(stage, code, tail, error_file)
        return self._done(stage, how, began)

    def _done(self, stage: str, how: How, began: float) -> Outcome:
        headline = ""
        with contextlib.suppress(IntegrityError, KeyError):
            headline = read_report(self.root / "data" / "reports", stage).headline
        outcome = Outcome(stage, how, headline, time.monotonic() - began)
        self.observer.ended(outcome)
        return outcome

    def _stop_if_asked(self) -> None:
        if self.processes.stopping.is_set():
            raise StoppedError("stopped; nothing finished is lost: run the same command again to go on")

    def _take_progress(self, stage: str, line: str) -> bool:
        if not line.startswith(PROGRESS_MARK):
            return False
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line.removeprefix(PROGRESS_MARK))
            if isinstance(event, dict):
                self.observer.progress(stage, event)
        return True

    def _environment(self, error_file: Path) -> dict[str, str]:
        environment = workspace_environment(self.root)
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
        return environment | {
            "PYTHONUNBUFFERED": "1",
            "TISSLM_PIPELINE_RUN": self.pipeline_run,
            "TISSLM_FLOW_RUN": self.flow_run,
            "TISSLM_ERROR_FILE": str(error_file.resolve()),
            "TISSLM_PROGRESS": "events",
        }


def stage_error(stage: str, code: int, tail: deque[str], error_file: Path) -> TissLMError:
    """The error of a failed stage: the one it left in `error_file`, or else what DVC's last lines say."""
    with contextlib.suppress(IntegrityError, KeyError, TypeError):  # on a full disk it could not be written
        record = read_json(error_file)
        kind = getattr(model.errors, str(record["type"]), TissLMError)
        error: TissLMError = kind(said_by(stage, str(record["message"])))
        return error
    text = "\n".join(tail)
    reason = next((line.removeprefix("ERROR: ") for line in reversed(tail) if line.startswith("ERROR: ")), "")
    if any(sign in text for sign in LOCK_SIGNS):
        holders = ", ".join(line.strip() for line in tail if line.strip().startswith("(PID "))
        who = f".dvc/tmp/rwlock is held by {holders}" if holders else reason
        return BusyError(f"{stage}: another DVC process works in this workspace ({who}); wait for it, then run again")
    if any(os.strerror(code) in reason for code in FULL_DISK_ERRORS):
        return StorageError(f"{stage}: the disk is full ({reason}); free some space, then run the same command again")
    if ", exited with" in reason:
        status = reason.rpartition(", exited with ")[2]
        said = [
            line for line in tail if line.strip() and not line.startswith(("ERROR:", "WARNING:", "Running stage", ">"))
        ]
        classes = [
            kind for _, kind in inspect.getmembers(model.errors, inspect.isclass) if issubclass(kind, TissLMError)
        ]
        kinds = [kind for kind in classes if str(kind.exit_code) == status]
        told = [line.removeprefix("tisslm: ") for line in said if line.startswith(f"tisslm: {stage}: ")]
        if kinds and told:
            return kinds[0](told[-1])
        last = f": {said[-1].strip()}" if said else ""
        return TissLMError(f"{stage}: its command ended with exit code {status}{_killed(status)}{last}")
    if reason:
        return ConfigError(f"{stage}: {reason.removeprefix(f'failed to reproduce {stage!r}: ')}")
    return TissLMError(f"{stage}: dvc ended with exit code {code}: {tail[-1] if tail else 'no message'}")


def _killed(status: str) -> str:
    return " (killed; often: out of memory)" if status in {"-9", "137"} else ""
