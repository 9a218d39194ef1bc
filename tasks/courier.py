"""The courier: one process per workspace that carries what stages journalled to MLflow.

Stages start it (`ensure_courier`); it runs at low priority, polls the journals, sends what is new, and ends a few
seconds after the last journal is delivered and closed. A server that is dead or frozen costs nobody anything but the
courier: it tries again more and more rarely and, once no stage runs any more, gives up and leaves the journals for
the next run or `tisslm tracking sync`.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import IntegrityError, TissLMError
from model.files import read_json, write_json
from tasks.delivery import Delivery, Sent, has_unsent
from tasks.journal_file import PIPELINE_CLOSED, JournalFile, journal_files, journal_folder
from tasks.process_identity import still_runs
from tasks.settings import Settings, read_settings
from tasks.tracking import (
    ABSENT,
    PERMANENT,
    Connection,
    connect,
    error_code,
    forget_run,
    is_tracking_failure,
    known_run,
    pipeline_key,
    reason,
    server_key,
    shown_uri,
    tracking_uri,
)

POLL_S = 1.0
LINGER_S = 8.0
LONGEST_PAUSE_S = 30.0
TRIES = 3
OWNER_IDLE_S = 120.0
log = logging.getLogger("tisslm.courier")


@dataclass(frozen=True)
class DeliveryReport:
    """Whether everything has arrived.

    Attributes:
        delivered: Nothing is left to send.
        waiting: Attempts with something left, as `pipeline/stage`.
        refused: Attempts of which the server refused something for good, with the reason.
        damaged: Journals with lines that can no longer be read, and which; all their other lines are sent.
        uri: The tracking server, without credentials.
        problem: What went wrong last; empty where nothing did.
    """

    delivered: bool
    waiting: list[str]
    refused: list[str]
    uri: str
    problem: str
    damaged: tuple[str, ...] = ()


def ensure_courier(root: Path, settings: Settings) -> None:
    """Start the courier of a workspace if none runs; returns at once.

    `TISSLM_TRACKING=off` leaves the journals for a later run or `tisslm tracking sync`.
    """
    if settings.tracking != "off" and not _courier_runs(root):
        _start_courier(root)


def _start_courier(root: Path) -> None:
    logs = root / ".tisslm" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    with open(logs / "courier.log", "ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "tasks.courier", str(root.resolve())],
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in path if p)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def deliver(root: Path, wait_s: float, again: bool = False) -> DeliveryReport:
    """Have everything delivered that was journalled so far, waiting at most `wait_s` seconds for it.

    What does not arrive stays in the journals. A stage that still runs counts as delivered up to now; with `again`
    journals that were refused before are tried once more from their beginning.
    """
    deadline = time.monotonic() + wait_s
    for file in journal_files(root) if again else ():
        if Sent.read(file, server_key(root)).problem:
            Sent(server_key(root)).write(file)
    _status_file(root).unlink(missing_ok=True)
    if delivery_report(root).waiting and not _courier_runs(root):
        _start_courier(root)
    while True:
        report = delivery_report(root)
        gave_up = report.problem and not _courier_runs(root)
        if report.delivered or gave_up or time.monotonic() >= deadline:
            return report
        time.sleep(0.2)


def delivery_report(root: Path) -> DeliveryReport:
    """What has arrived and what waits, from the workspace's own notes; asks no server."""
    uri, key = shown_uri(tracking_uri(root)), server_key(root)
    waiting, refused, damaged = [], [], []
    for file in journal_files(root):
        sent = Sent.read(file, key)
        name = f"{file.pipeline}/{file.stage}"
        if sent.damaged:
            lines = ", ".join(map(str, sent.damaged[:5])) + (" and more" if len(sent.damaged) > 5 else "")
            damaged.append(f"{file.path}: line {lines} changed since it was written, so it was not sent")
        if sent.problem:
            refused.append(f"{name}: {sent.problem}")
        elif has_unsent(file, sent) or not (sent.ended(file) or still_runs(file.first())):
            waiting.append(name)
    for closed in journal_folder(root).glob(f"*/{PIPELINE_CLOSED}"):
        record = known_run(root, pipeline_key(closed.parent.name))
        if record is not None and record.status == "RUNNING":
            waiting.append(closed.parent.name)
    try:
        problem = str(read_json(_status_file(root))["problem"])
    except (IntegrityError, KeyError, TypeError):
        problem = ""
    return DeliveryReport(not waiting and not refused, waiting, refused, uri, problem, tuple(damaged))


@dataclass
class Courier:
    """The courier's work on one workspace: `send_all` is one round over the journals.

    Attributes:
        root: The workspace.
        settings: Timeouts and the experiment's name.
        done: Journals that need no further look while they have the size noted here.
        idle_since: When a pipeline of a living owner was first seen with nothing left to send.
    """

    root: Path
    settings: Settings
    done: dict[Path, int] = field(default_factory=dict)
    idle_since: dict[str, float] = field(default_factory=dict)
    connection: Connection | None = None

    def open_files(self) -> list[JournalFile]:
        """Journals that are not delivered to their end, in the order in which their stages were started."""
        key = server_key(self.root)
        sizes = {file: file.path.stat().st_size for file in journal_files(self.root)}
        files = [file for file, size in sizes.items() if self.done.get(file.path) != size]
        states = {file: Sent.read(file, key) for file in files}
        self.done |= {file.path: sizes[file] for file in files if states[file].ended(file)}
        files = [file for file in files if not states[file].ended(file)]
        return sorted(files, key=lambda file: (int(file.first().get("order", 0)), file.path))

    def send_all(self) -> bool:
        """Send what is new; True when something was sent.

        Raises:
            TissLMError: The tracking server cannot be reached.
            Exception: Whatever else MLflow or its database raises.
        """
        files = self.open_files()
        if not files and not self.open_pipelines():
            return False
        if self.connection is None:
            self.connection = connect(self.root, self.settings)
        moved = [self._send(self.connection, file) for file in files]
        closed = [self._finish(self.connection, pipeline) for pipeline in self.open_pipelines()]
        return any(moved) or any(closed)

    def _send(self, connection: Connection, file: JournalFile) -> bool:
        delivery = Delivery(connection, file)
        try:
            return delivery.run()
        except Exception as error:
            code = error_code(error)
            if not is_tracking_failure(error) or code not in (*PERMANENT, *ABSENT):
                raise
            connection.prove()  # whatever else answers 404 or 400 has refused nothing
            if code in ABSENT and not delivery.sent.problem and known_run(self.root, delivery.sent.key):
                forget_run(self.root, delivery.sent.key)  # another database than the one that had it: from the start
                forget_run(self.root, pipeline_key(file.pipeline))
                Sent(delivery.sent.uri).write(file)
                return True
            delivery.sent.problem = reason(error)
            delivery.sent.done = True
            delivery.sent.write(file)
            log.error("%s: refused by the tracking server: %s", file.path.name, delivery.sent.problem)
            return True

    def open_pipelines(self) -> list[str]:
        """Pipelines whose parent run still waits for its end."""
        folders = [folder for folder in journal_folder(self.root).glob("*") if folder.is_dir()]
        records = [(folder.name, known_run(self.root, pipeline_key(folder.name))) for folder in folders]
        return [name for name, record in records if record is not None and record.status == "RUNNING"]

    def _finish(self, connection: Connection, pipeline: str) -> bool:
        """Close a parent run when its flow said so, or its owner is gone or idle, and all its journals are done."""
        folder = journal_folder(self.root) / pipeline
        files = [JournalFile(path) for path in folder.glob("*-*.jsonl")]
        key = server_key(self.root)
        sent = {file: Sent.read(file, key) for file in files}
        if not files or not all(state.ended(file) for file, state in sent.items()):
            self.idle_since.pop(pipeline, None)
            return False
        ended = max(file.path.stat().st_mtime for file in files)
        openings = {file: file.first() for file in files}
        try:
            closed = read_json(folder / PIPELINE_CLOSED)
            status, ended_ms = str(closed["status"]), int(closed["time_ms"])
        except (IntegrityError, KeyError, ValueError):
            owners = [first["pipeline"]["owner"] for first in openings.values() if first and first["pipeline"]["owner"]]
            idle_s = time.monotonic() - self.idle_since.setdefault(pipeline, time.monotonic())
            if any(still_runs(owner) for owner in owners) and idle_s < OWNER_IDLE_S:
                return False
            last = {file.stage: file for file in sorted(files, key=lambda file: int(openings[file].get("order", 0)))}
            states = {sent[file].status for file in last.values()}
            status = next((bad for bad in ("FAILED", "KILLED") if bad in states), "FINISHED")
            ended_ms = int(ended * 1000)
        connection.end_run(pipeline_key(pipeline), status, ended_ms)
        return True

    def stages_run(self) -> bool:
        """Whether any journal is still being written."""
        return any(still_runs(first) for first in (file.first() for file in self.open_files()) if first)


def serve(root: Path, settings: Settings) -> None:
    """Deliver until everything has arrived and nobody writes, or the server stays away."""
    while True:
        with _courier_lock(root, patience_s=1.0) as mine:
            if not mine:
                return
            finished = _deliver_until_quiet(Courier(root, settings))
        if not finished or not Courier(root, settings).open_files():
            return  # a stage that began while the lock was still held found a courier: look once more after it


def _deliver_until_quiet(courier: Courier) -> bool:
    failures, quiet_since = 0, time.monotonic()
    while journal_folder(courier.root).is_dir():
        try:
            moved = courier.send_all()
        except Exception as error:
            if not (isinstance(error, TissLMError) or is_tracking_failure(error)):
                raise
            failures += 1
            problem = reason(error)
            log.warning("try %d: %s", failures, problem)
            write_json(_status_file(courier.root), {"problem": problem, "tries": failures})
            if failures >= TRIES and not courier.stages_run():
                return False
            time.sleep(min(LONGEST_PAUSE_S, 2.0 ** (failures - 1)))
            continue
        if failures:
            failures = 0
            _status_file(courier.root).unlink(missing_ok=True)
        if moved or courier.open_files() or courier.open_pipelines():
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > LINGER_S:
            return True
        time.sleep(POLL_S)
    return False


@contextmanager
def _courier_lock(root: Path, patience_s: float = 0.0) -> Iterator[bool]:
    """Hold the courier's lock, or say that another holds it; a stage that only looks holds it for an instant."""
    path = root / ".tisslm" / "locks" / "courier.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_s
    with open(path, "a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.05)
        yield True


def _courier_runs(root: Path) -> bool:
    with _courier_lock(root) as free:
        return not free


def _status_file(root: Path) -> Path:
    return root / ".tisslm" / "courier.json"


def main() -> None:
    """`python -m tasks.courier ROOT`."""
    parser = argparse.ArgumentParser(prog="python -m tasks.courier", description="carry journals to MLflow")
    parser.add_argument("root", type=Path, nargs="?", default=Path())
    root = parser.parse_args().root.resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(10)
    os.chdir(root)
    serve(root, read_settings())


if __name__ == "__main__":
    main()
