"""Every runner gives the same results in the same order; a failure is one clear error; no process stays behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from model.corpus.shard_runner import ONE_THREAD, ProcessRunner, SerialRunner
from model.errors import CorpusError, StorageError

pytestmark = pytest.mark.feature("CORP-02")


@dataclass(frozen=True)
class Piece:
    number: int
    what: str = ""

    @property
    def name(self) -> str:
        return f"piece {self.number}"


def double(piece: Piece) -> int:
    time.sleep(0.05 if piece.number == 0 else 0.0)  # the first is finished last
    return piece.number * 2


def environment(_: Piece) -> dict[str, str]:
    return {name: os.environ.get(name, "") for name in ONE_THREAD}


def misbehave(piece: Piece) -> int:
    if piece.what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if piece.what == "exit":
        os._exit(7)
    if piece.what == "full":
        raise StorageError("/x: write failed")
    if piece.what == "odd":
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "odd")
    if piece.what == "unpicklable":
        raise UnpicklableError(lambda: 0)
    return piece.number


class UnpicklableError(Exception):
    def __init__(self, one):
        super().__init__("cannot travel", one)


def sleep_long(piece: Piece) -> None:
    Path(os.environ["STARTED_IN"], f"{os.getpid()}").touch()
    time.sleep(60)


@pytest.mark.parametrize("runner", [SerialRunner(), ProcessRunner(1), ProcessRunner(3)])
def test_results_come_in_the_order_of_the_units(runner):
    done = []
    assert runner(double, [Piece(n) for n in range(20)], done.append) == [2 * n for n in range(20)]
    assert done == list(range(1, 21))
    assert runner(double, []) == []


def test_workers_use_one_thread_and_the_parent_keeps_its_settings(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    seen = ProcessRunner(2)(environment, [Piece(0), Piece(1)])
    assert seen == [ONE_THREAD, ONE_THREAD]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "RAYON_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("kill", CorpusError, r"was killed by SIGKILL \(out of memory\?\) at unit 3 of 4, piece 2"),
        ("exit", CorpusError, r"ended with exit code 7 at unit 3 of 4, piece 2"),
        ("full", StorageError, r"^/x: write failed$"),
        ("odd", UnicodeDecodeError, "odd"),
        ("unpicklable", RuntimeError, "UnpicklableError: "),
    ],
)
def test_failure_in_a_worker_is_one_clear_error_and_no_process_stays(what, kind, message):
    units = [Piece(0), Piece(1), Piece(2, what), Piece(3)]
    with pytest.raises(kind, match=message) as error:
        ProcessRunner(2)(misbehave, units)
    assert "\n" not in str(error.value)
    assert not [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, sent):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    from test_shard_runner import Piece, sleep_long\n"
        "    from model.corpus.shard_runner import ProcessRunner\n"
        "    ProcessRunner(2)(sleep_long, [Piece(n) for n in range(4)])\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env={**os.environ, "STARTED_IN": str(tmp_path)}, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    parent.send_signal(sent)
    parent.wait(30)
    deadline = time.monotonic() + 10
    while any(map(psutil.pid_exists, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, workers))
    assert len(list(tmp_path.iterdir())) == 2, "no further unit was begun"
