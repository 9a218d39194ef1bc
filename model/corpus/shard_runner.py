"""Run one function over many units of work: here, in processes of this machine, or wherever a cluster puts it.

A stage that works on shards takes a `ShardRunner` and never knows which one. Functions and units are picklable, data
goes through files, results are small and come back in the order of the units: the output of a stage does not depend
on the runner. `tasks/shard_runners.py` chooses one by a setting and adds Dask and Ray.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from model.errors import CorpusError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
R = TypeVar("R")

THREAD_SETTINGS = ("OMP", "MKL", "OPENBLAS", "NUMBA", "RAYON")
ONE_THREAD = {**{f"{name}_NUM_THREADS": "1" for name in THREAD_SETTINGS}, "ARROW_IO_THREADS": "1"}
PATIENCE_S = 5.0


class ShardRunner(Protocol):
    """Applies a function to every unit; see the module's text for what it may rely on."""

    def __call__(
        self, function: Callable[[T], R], units: Sequence[T], on_done: Callable[[int], None] = lambda _: None
    ) -> list[R]:
        """The function's results in the order of the units.

        Args:
            function: Picklable, and pure but for the files that it writes.
            units: Picklable descriptions of the work; an attribute `name` is shown to people.
            on_done: Told the number of finished units, in the calling process.

        Raises:
            TissLMError: What the function raised, or a `CorpusError` for a process that was killed.
        """
        ...


class SerialRunner:
    """Works through the units in this process, one after the other."""

    def __call__(
        self, function: Callable[[T], R], units: Sequence[T], on_done: Callable[[int], None] = lambda _: None
    ) -> list[R]:
        """See `ShardRunner`."""
        results = []
        for number, unit in enumerate(units, 1):
            results.append(function(unit))
            on_done(number)
        return results


@dataclass(frozen=True)
class ProcessRunner:
    """Works through the units in a few processes, each with one thread for numeric work.

    Processes are spawned, never forked: safe beside threads. They end with this process however it ends (they hold
    the other end of a pipe), and leave interrupts to it. Each holds one unit at a time, so memory stays bounded. A
    single unit, or a single worker, is done in this process.

    Attributes:
        workers: The most processes at a time.
    """

    workers: int

    def __call__(
        self, function: Callable[[T], R], units: Sequence[T], on_done: Callable[[int], None] = lambda _: None
    ) -> list[R]:
        """See `ShardRunner`."""
        if min(self.workers, len(units)) <= 1:
            return SerialRunner()(function, units, on_done)
        with _pool(pickle.dumps(function), min(self.workers, len(units))) as workers:
            return _share_out(workers, units, on_done)


def unit_name(unit: object) -> str:
    """What people call a unit: its `name`, or how it is written."""
    name = str(getattr(unit, "name", "") or repr(unit))
    return name if len(name) <= 160 else name[:157] + "..."


@dataclass(frozen=True, eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection


class _Remote(Exception):  # noqa: N818  (a traceback from elsewhere, shown as the cause)
    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


def _share_out(workers: list[_Worker], units: Sequence[T], on_done: Callable[[int], None]) -> list[Any]:
    """Give every idle worker the next unit until all are done; the first failure ends it."""
    results: list[Any] = [None] * len(units)
    waiting = iter(range(len(units)))
    busy: dict[Connection, tuple[_Worker, int]] = {}
    done = 0

    def start(worker: _Worker) -> None:
        index = next(waiting, None)
        if index is None:
            return
        busy[worker.pipe] = (worker, index)
        with contextlib.suppress(OSError):  # a dead worker is noticed, and named, where its answer is read
            worker.pipe.send(units[index])

    for worker in workers:
        start(worker)
    while busy:
        for pipe in cast("list[Connection]", wait(list(busy))):
            worker, index = busy.pop(pipe)
            try:
                error, remote, result = worker.pipe.recv()
            except (EOFError, OSError) as lost:
                raise CorpusError(_death(worker.process, index, len(units), units[index])) from lost
            if error is not None:
                raise error from _Remote(remote)
            results[index] = result
            done += 1
            start(worker)
            on_done(done)
    return results


def _death(process: SpawnProcess, index: int, n_units: int, unit: object) -> str:
    process.join(PATIENCE_S)
    code = process.exitcode
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        how += " (out of memory?)" if code == -signal.SIGKILL else ""
    else:
        how = f"ended with exit code {code}"
    return (
        f"worker process {process.pid} {how} at unit {index + 1:,} of {n_units:,}, {unit_name(unit)}; expected it to "
        "finish: run the same command again, with a lower TISSLM_WORKERS if memory is short (finished units are kept)"
    )


@contextlib.contextmanager
def _pool(function: bytes, n_workers: int) -> Iterator[list[_Worker]]:
    """Worker processes that are gone afterwards, whatever happens."""
    context = multiprocessing.get_context("spawn")
    life_reader, life_writer = context.Pipe(duplex=False)
    workers: list[_Worker] = []
    try:
        with _inherited(ONE_THREAD):
            for number in range(n_workers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(function, theirs, life_reader), name=f"tisslm-worker-{number}", daemon=True
                )
                process.start()
                theirs.close()
                workers.append(_Worker(process, ours))
        yield workers
        for worker in workers:
            with contextlib.suppress(OSError):  # an idle worker that died owes nothing
                worker.pipe.send(None)
        for worker in workers:
            worker.process.join(PATIENCE_S)
    finally:
        life_writer.close()
        life_reader.close()
        for worker in workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


@contextlib.contextmanager
def _inherited(environment: dict[str, str]) -> Iterator[None]:
    """What processes started inside inherit: these variables, and interrupts held back.

    Variables have to be there before the first import in the new process; an interrupt (Ctrl-C reaches all processes
    of a terminal) is for the parent alone, which ends its workers.
    """
    before = {name: os.environ.get(name) for name in environment}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(function_bytes: bytes, pipe: Connection, life: Connection) -> None:
    """The life of a worker: unit in, (error, traceback, result) out, until None comes or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
    function: Callable[[Any], Any] | None = None
    while True:
        try:
            unit = pipe.recv()
        except (EOFError, OSError):
            return
        if unit is None:
            return
        try:
            function = function or pickle.loads(function_bytes)  # noqa: S301  (our parent's bytes)
            answer = pickle.dumps((None, "", function(unit)))
        except Exception as error:  # noqa: BLE001  (everything goes back to the parent)
            answer = _failure(error)
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _end_with_parent(life: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        life.recv_bytes()
    os._exit(1)


def _failure(error: Exception) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        answer = pickle.dumps((error, text, None))
        pickle.loads(answer)  # noqa: S301  (our own bytes: many exceptions can be written but not read back)
    except Exception:  # noqa: BLE001
        answer = pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), text, None))
    return answer
