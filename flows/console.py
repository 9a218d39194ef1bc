"""What a person sees of a run: a line per stage, a bar while something long goes on; plain lines without a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from flows.outcome import Observer, Outcome
from model.errors import TissLMError
from tasks.progress import describe, duration

LINE_EVERY_S = 10.0
NAME_WIDTH = 10


def default_observer() -> Observer:
    """The view of a run that nobody asked to see in another way: plain lines on standard output."""
    return ConsoleView(Console(force_terminal=False, soft_wrap=True))


class ConsoleView:
    """Shows a run on a console; close it before printing anything else."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._rows: dict[str, TaskID] = {}
        self._shown: dict[str, float] = {}

    def note(self, message: str) -> None:
        """A line about the run as a whole."""
        self._print(Text(message, style="dim"))

    def started(self, stage: str) -> None:
        """Show a stage with a spinner; without a terminal say nothing yet."""
        with self._lock:
            self._shown[stage] = time.monotonic()
            if self.console.is_terminal:
                self._rows[stage] = self._bars().add_task(f"{stage:<{NAME_WIDTH}}", total=None, text="")

    def line(self, stage: str, text: str) -> None:
        """The stage's own lines go to Prefect's logs; here they would hide the picture."""

    def progress(self, stage: str, event: Mapping[str, Any]) -> None:
        """Move the stage's bar; without a terminal a line every ten seconds."""
        done, total = float(event.get("done", 0)), float(event.get("total", 0))
        figures = {str(k): v for k, v in dict(event.get("figures") or {}).items() if isinstance(v, int | float)}
        text = f"{done:,.0f}/{total:,.0f} {event.get('unit', '')} {describe(figures)}".replace("  ", " ").strip()
        left_s = float(event.get("left_s") or 0)
        if left_s and done < total:
            text += f", {duration(left_s)} left"
        with self._lock:
            if self.console.is_terminal:
                if stage in self._rows:
                    self._bars().update(self._rows[stage], completed=done, total=total or None, text=text)
                return
            now = time.monotonic()
            if now - self._shown.get(stage, now) < LINE_EVERY_S:
                return
            self._shown[stage] = now
        self._print(Text(f"{stage:<{NAME_WIDTH}}  {text}"))

    def ended(self, outcome: Outcome) -> None:
        """One line: name, what it did or `unchanged`, seconds."""
        self._drop(outcome.stage)
        line = Text(f"{outcome.stage:<{NAME_WIDTH}}  ", style="bold")
        if outcome.how == "unchanged":
            line.append("unchanged", style="dim not bold")
            if outcome.headline:
                line.append(f": {outcome.headline}", style="dim not bold")
        else:
            told = outcome.headline or "done"
            again = " (restored from an equal earlier run)" if outcome.how == "restored" else ""
            line.append(f"{told}{again}", style="not bold")
            line.append(f"  {_seconds(outcome.seconds)}", style="cyan not bold")
        self._print(line)

    def failed(self, stage: str, error: TissLMError) -> None:
        """One line; the command itself ends with the error's message."""
        self._drop(stage)
        self._print(Text(f"{stage:<{NAME_WIDTH}}  failed: {str(error).removeprefix(f'{stage}: ')}", style="red"))

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None
            self._rows.clear()

    def _drop(self, stage: str) -> None:
        with self._lock:
            row = self._rows.pop(stage, None)
            if row is not None and self._progress is not None:
                self._progress.remove_task(row)

    def _bars(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[text]}", markup=False),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
                refresh_per_second=4,
            )
            self._progress.start()
        return self._progress

    def _print(self, text: Text) -> None:
        with self._lock:
            self.console.print(text, highlight=False, soft_wrap=True)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
