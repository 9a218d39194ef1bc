"""The run that this thread works for, and who watches it.

A module of its own: Prefect's runner pickles the flow function with the module variables that it mentions, and
context variables cannot be pickled.
"""

from __future__ import annotations

from contextvars import ContextVar

from flows.console import default_observer
from flows.outcome import Observer
from flows.reproduce import Reproducer

OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)
REPRODUCER: ContextVar[Reproducer] = ContextVar("reproducer")


def current_observer() -> Observer:
    """Who watches: whoever `OBSERVER` was set to, else plain lines on standard output."""
    return OBSERVER.get() or default_observer()
