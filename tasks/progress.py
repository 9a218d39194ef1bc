"""How far a stage is: a bar on a terminal, a line every ten seconds elsewhere, events for the flow."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Literal

Style = Literal["auto", "bar", "lines", "events", "none"]
LINE_EVERY_S = 10.0
EVENT_EVERY_S = 1.0


class ProgressDisplay:
    """Shows the progress of one stage; showing never fails and never slows the work (at most ten updates a second)."""

    def __init__(self, stage: str, style: Style = "auto") -> None:
        self.stage = stage
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self.style: Style = style
        self._started = time.monotonic()
        self._shown = float("-inf")
        self._work: tuple[str, float] | None = None
        self._first = (0.0, 0.0)
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: float, total: float, unit: str, figures: dict[str, float]) -> None:
        """Show that `done` of `total` is done, with the figures that matter now."""
        now = time.monotonic()
        if self._work != (unit, total):  # the stage has begun with something else
            self._work, self._first = (unit, total), (now, done)
        every = {"bar": 0.1, "lines": LINE_EVERY_S, "events": EVENT_EVERY_S}.get(self.style)
        finished = total > 0 and done >= total
        if every is None or (now - self._shown < every and not finished):
            return
        if self.style == "lines" and self._shown == float("-inf") and not finished:
            self._shown = now  # the first line comes after ten seconds: short work stays silent
            return
        if self.style == "lines" and finished and now - self._started < LINE_EVERY_S:
            return
        self._shown = now
        left_s = self._seconds_left(now, done, total)
        if self.style == "bar":
            self._show_bar(done, total, unit, figures)
        elif self.style == "events":
            event = {"stage": self.stage, "done": done, "total": total, "unit": unit, "left_s": round(left_s, 1)}
            _print("@progress " + json.dumps(event | {"figures": _finite(figures)}), sys.stdout)
        else:
            share = f"{100 * done / total:5.1f} % " if total > 0 else ""
            left = f", {duration(left_s)} left" if left_s and not finished else ""
            _print(
                f"{self.stage}: {share}{done:,.0f}/{total:,.0f} {unit} {describe(figures)}{left}".rstrip(), sys.stderr
            )

    def _seconds_left(self, now: float, done: float, total: float) -> float:
        """By the speed since the first update: a resumed stage begins with work that it has not done itself."""
        first, done_before = self._first
        return (now - first) / (done - done_before) * (total - done) if total > 0 and done > done_before else 0.0

    def say(self, message: str) -> bool:
        """Print a line above the bar; False where there is no bar and the caller should log it."""
        if self._bar is None:
            return False
        self._bar.console.print(f"{self.stage}: {message}", highlight=False, markup=False)
        return True

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show_bar(self, done: float, total: float, unit: str, figures: dict[str, float]) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )
            self._bar.start()
            self._task = self._bar.add_task(self.stage, total=total, figures="")
        text = f"{done:,.0f}/{total:,.0f} {unit} {describe(figures)}".replace("  ", " ")
        self._bar.update(self._task, completed=done, total=total or None, figures=text)


def describe(figures: dict[str, float]) -> str:
    """`loss 3.214, tokens/s 5,120`: figures in the order in which they came."""
    return ", ".join(
        f"{name.replace('_per_second', '/s').replace('_', ' ')} {_number(v)}" for name, v in figures.items()
    )


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _finite(figures: dict[str, float]) -> dict[str, float | str]:
    return {name: value if abs(value) < float("inf") else str(value) for name, value in figures.items()}


def _print(line: str, stream: Any) -> None:
    stream.write(line + "\n")
    stream.flush()
