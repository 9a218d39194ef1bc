"""What a stage costs the machine while it runs: processor and memory, sampled by a light thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil

from model.errors import StorageError

SAMPLE_EVERY_S = 5.0


class SystemSampler:
    """Calls `record(values, step)` every few seconds with MLflow's names for system metrics, until closed.

    Values: processor load of the whole machine (%), memory in use on it (MB), and the resident size of this process
    and its children (MB).
    """

    def __init__(self, record: Callable[[dict[str, float], int], None], every_s: float = SAMPLE_EVERY_S) -> None:
        self._record = record
        self._every_s = every_s
        self._stopped = threading.Event()
        self.next_step = 0
        psutil.cpu_percent()  # the first call only sets the reference point
        self._thread = threading.Thread(target=self._run, name="system-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._record(sample(), self.next_step)
            except StorageError:
                return  # the journal's own writes report a full disk; this thread has nobody to tell
            self.next_step += 1


def sample() -> dict[str, float]:
    """The figures of this moment."""
    memory = psutil.virtual_memory()
    process = psutil.Process()
    resident = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            resident += child.memory_info().rss
        except psutil.Error:
            continue
    return {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": round(memory.used / 1e6, 1),
        "system/system_memory_usage_percentage": memory.percent,
        "system/process_memory_megabytes": round(resident / 1e6, 1),
    }
