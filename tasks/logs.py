"""Log lines: levels with TRACE, as text or JSON on standard error, and as JSON in the workspace; never in the way.

Every line goes through a queue to a thread of its own, so the work never waits for a terminal or a disk.
"""

from __future__ import annotations

import atexit
import copy
import logging
import queue
import sys
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any

from tasks.settings import Settings

TRACE = 5
LOGGER = "tisslm"
FILE_BYTES, FILES = 5_000_000, 3

_listeners: list[QueueListener] = []


class Queued(QueueHandler):
    """Hands records on with their message filled in and their exception kept apart."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy that later changes to its arguments cannot reach."""
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        return record


class StandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is at that moment, so that a progress bar stays below the lines."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


def configure_logs(settings: Settings, root: Path | None = None) -> logging.Logger:
    """Set up the logger `tisslm` for this process; calling it again replaces the earlier set-up.

    Args:
        settings: Least level shown and form (`TISSLM_LOG_LEVEL`, `TISSLM_LOG_FORMAT`).
        root: The workspace whose `.tisslm/logs/tisslm.log` takes every line as JSON; None writes no file.
    """
    from pythonjsonlogger.json import JsonFormatter

    close_logs()
    logging.addLevelName(TRACE, "TRACE")
    as_json = JsonFormatter(
        "{asctime}{levelname}{name}{message}{process}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level"},
    )
    terminal = StandardError()
    terminal.setFormatter(as_json if settings.log_format == "json" else logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [terminal]
    if root is not None:
        path = root / ".tisslm" / "logs" / "tisslm.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
        except OSError as error:
            sys.stderr.write(f"tisslm: {path}: no log file, {error.strerror}; lines go to standard error only\n")
        else:
            file.setFormatter(as_json)
            handlers.append(file)
    lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = QueueListener(lines, *handlers)
    listener.start()
    _listeners.append(listener)
    logger = logging.getLogger(LOGGER)
    logger.handlers = [Queued(lines)]
    logger.propagate = False
    logger.setLevel(TRACE if settings.log_level == "TRACE" else settings.log_level)
    return logger


def close_logs() -> None:
    """Write what is still queued and stop the thread."""
    while _listeners:
        listener = _listeners.pop()
        listener.stop()
        for handler in listener.handlers:
            handler.close()
    logging.getLogger(LOGGER).handlers = []


atexit.register(close_logs)
