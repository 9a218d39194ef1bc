"""Jobs timed in turn, round after round, so that a machine that drifts drifts for all.

What is compared is the ratio of two jobs within one round; the figure is the median over rounds. CPU seconds hold
better than wall seconds where others use the machine, as long as there is one thread: with several, the waiting ones
spin.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

Clock = Literal["cpu", "wall"]
Job = TypeVar("Job", bound=Hashable)


@dataclass(frozen=True)
class Seconds:
    """What a job took: processor seconds of all threads, and seconds."""

    cpu: float
    wall: float

    def of(self, clock: Clock) -> float:
        """Those of one clock."""
        return self.cpu if clock == "cpu" else self.wall


def timed(job: Callable[[], object]) -> Seconds:
    """Run it once."""
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    return Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def alternate(
    jobs: Mapping[Job, Callable[[], object]], *, budget_s: float, fewest: int = 3, most: int = 9
) -> dict[Job, list[Seconds]]:
    """Time all jobs in turn for about `budget_s` seconds; each should have run before, so that nothing is new to it."""
    times: dict[Job, list[Seconds]] = {name: [] for name in jobs}
    started = time.perf_counter()
    for n_rounds in range(most):
        spent = time.perf_counter() - started
        if n_rounds >= fewest and spent * (n_rounds + 1) / n_rounds > budget_s:
            break
        gc.collect()
        for name, job in jobs.items():
            times[name].append(timed(job))
    return times


def median(times: Sequence[Seconds], clock: Clock = "cpu") -> float:
    """The median of one clock."""
    return statistics.median(one.of(clock) for one in times)


def faster_by(ours: Sequence[Seconds], theirs: Sequence[Seconds], clock: Clock = "cpu") -> float:
    """How many times as long they take: the median of the rounds' ratios."""
    return statistics.median(their.of(clock) / our.of(clock) for our, their in zip(ours, theirs, strict=True))
