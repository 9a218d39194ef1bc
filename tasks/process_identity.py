"""Who a process is, so that another one can ask later whether it still lives.

A process id comes again, and the time at which a process started is on Linux the time of boot plus ticks: it moves
with every step of the clock. So a process is its id, the boot it belongs to, and its start in ticks since that boot.
Where there is no `/proc` (macOS) the kernel keeps the start time itself, and psutil reads it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

PROC = Path("/proc")
TOLERANCE_S = 1.0
DEAD = ("Z", "X")


def process_identity(pid: int | None = None) -> dict[str, Any]:
    """The identity of a process (of this one by default), as JSON can hold it.

    Raises:
        psutil.NoSuchProcess: There is no such process.
    """
    pid = os.getpid() if pid is None else pid
    who: dict[str, Any] = {"host": socket.gethostname(), "pid": pid}
    boot = boot_id()
    if not boot:
        return {**who, "process_started": round(psutil.Process(pid).create_time(), 2)}
    found = _state_and_start(pid)
    if found is None:
        raise psutil.NoSuchProcess(pid)
    return {**who, "boot": boot, "start_ticks": found[1]}


def still_runs(who: Mapping[str, Any]) -> bool:
    """Whether the process that `process_identity` described still lives; a zombie does not.

    One of another host counts as living, since nobody can tell. Notes of older versions have only a start time.
    """
    try:
        pid, here = int(who["pid"]), who.get("host", socket.gethostname()) == socket.gethostname()
        if not here:
            return True
        if "boot" in who:
            found = _state_and_start(pid)
            same = found is not None and found[1] == who["start_ticks"] and boot_id() == who["boot"]
            return bool(same and found and found[0] not in DEAD)
        process = psutil.Process(pid)
        started = float(who["process_started"] if "process_started" in who else who["created"])
        same = abs(process.create_time() - started) < TOLERANCE_S
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.AccessDenied:
        return True
    except (psutil.Error, KeyError, ValueError, TypeError, OverflowError):
        return False


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and only its parent has not yet asked how."""
    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.Error:
        return False


def boot_id() -> str:
    """What the kernel calls the time since it was started; empty where it has no name for it."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """State and start (ticks since boot) of a process, fields 3 and 22 of `/proc/PID/stat`; None if there is none."""
    try:
        fields = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None
