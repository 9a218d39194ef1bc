"""The processes that a run starts: each in a session of its own, ended with the run, found again after a kill.

A record of every process lies in `.tisslm/processes/` while it lives, so that the next run can end what a killed
run left behind (a record counts only while that very process lives).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from model.errors import IntegrityError
from model.files import read_json, write_json
from tasks.process_identity import process_identity, still_runs

FOLDER = ".tisslm/processes"
GRACE_S = 10.0


class Processes:
    """The running child processes of one pipeline run."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self.stopping = threading.Event()

    @contextlib.contextmanager
    def start(
        self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], what: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a process, its two output streams in one pipe of lines; end it when the block is left."""
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        with self._lock:
            self._running[process.pid] = process
        record = record_process(self._folder, process.pid, what)
        try:
            if self.stopping.is_set():
                _signal_group(process, signal.SIGINT)
            yield process
        finally:
            end_process(process)
            with self._lock:
                self._running.pop(process.pid, None)
            record.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ask every running process to end, as Ctrl-C does; `start` makes sure of it."""
        self.stopping.set()
        with self._lock:
            running = list(self._running.values())
        for process in running:
            _signal_group(process, signal.SIGINT)
        watch = threading.Thread(target=_make_sure, args=(running,), daemon=True)
        watch.start()


def _make_sure(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        end_process(process, first=None)


def end_process(process: subprocess.Popen[Any], first: signal.Signals | None = signal.SIGTERM) -> None:
    """End a process and its session: politely first, for certain after `GRACE_S` seconds."""
    for number in (first, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            if process.poll() is not None:
                break
            _signal_group(process, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    if process.poll() is not None:
        _signal_group(process, signal.SIGKILL)  # whatever its stage's shell left behind in the session


def _signal_group(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def record_process(folder: Path, pid: int, what: str) -> Path:
    """Note a process that this one started, so that a later run can find it if this one is killed."""
    record = folder / f"{pid}.json"
    with contextlib.suppress(psutil.NoSuchProcess):
        write_json(record, {"process": process_identity(pid), "owner": process_identity(), "what": what})
    return record


def end_leftovers(root: Path) -> list[str]:
    """End the processes whose owner, a run in this workspace, was killed; return what each of them was."""
    ended = []
    for record in sorted((root / FOLDER).glob("*.json")):
        with contextlib.suppress(IntegrityError, KeyError, TypeError):
            facts = read_json(record)
            if still_runs(facts["owner"]):
                continue
            if still_runs(facts["process"]):
                _end_family(int(facts["process"]["pid"]))
                ended.append(f"{facts['what']} (process {facts['process']['pid']})")
        record.unlink(missing_ok=True)
    return ended


def _end_family(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=GRACE_S)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
