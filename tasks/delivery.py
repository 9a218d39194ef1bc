"""Bring one journal into MLflow, exactly once.

Events are sent in order, in batches; after each batch the offset behind it is written beside the journal. A courier
that is killed between the two sends that batch again, which changes nothing: a metric's time stamp comes from the
journal, and MLflow's databases ignore a row that they have (key, time, step, value).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from model.errors import IntegrityError
from model.files import read_json, write_json
from tasks.arrival import missing_records
from tasks.journal_file import Event, JournalFile, damaged_lines, read_events
from tasks.process_identity import still_runs
from tasks.tracking import (
    NAME_TAG,
    PARENT_TAG,
    PIPELINE_TAG,
    Connection,
    allowed_name,
    forget_run,
    known_run,
    pipeline_key,
    remember_run,
)

BATCH_METRICS = 900  # MLflow takes 1,000 entries a request, params and tags included
BATCH_ENTRIES = 100
LONGEST_VALUE = 5900
MAIN_STAGE = "evaluate"  # its final figures carry their plain names on the parent run


@dataclass
class Sent:
    """How much of a journal the server has; `problem` is set when it refused something for good.

    `damaged` are the numbers of lines that no longer say what was written: they cannot be sent, all others are.
    """

    uri: str
    key: str = ""
    offset: int = 0
    done: bool = False
    status: str = ""
    problem: str = ""
    damaged: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, file: JournalFile, uri: str) -> Sent:
        """The state of a journal; a finished one stays finished, an unfinished one starts again on another server."""
        try:
            sent = cls(**read_json(file.sent))
        except (IntegrityError, TypeError):
            return cls(uri)
        return sent if sent.done or sent.uri == uri else cls(uri)

    def write(self, file: JournalFile) -> None:
        """Note the state atomically."""
        write_json(file.sent, self.__dict__)

    def ended(self, file: JournalFile) -> bool:
        """Whether the journal needs no further look: closed or refused with nothing after it, or nothing is in it."""
        if not has_unsent(file, self):
            return self.done or not self.offset
        return self.done and bool(self.problem)


def has_unsent(file: JournalFile, sent: Sent) -> bool:
    """Whether the journal holds events that the server does not have."""
    return any(True for _ in read_events(file.path, sent.offset))


@dataclass
class Batch:
    """Metrics and tags that go in one request."""

    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    finals: list[tuple[str, float, int, int]] = field(default_factory=list)


class Delivery:
    """Sends what is new in one journal.

    Attributes:
        sent: The state after the last batch.
    """

    def __init__(self, connection: Connection, file: JournalFile) -> None:
        self._connection = connection
        self._client = connection.client
        self._root = connection.root
        self._file = file
        self._open = file.first()
        self.sent = Sent.read(file, connection.uri)

    def run(self) -> bool:
        """Send everything that is there; True when something was sent.

        Raises:
            MlflowException: The server does not answer or refuses; what was sent before is noted.
        """
        if not self._open or self.sent.ended(self._file):
            return False
        alive = still_runs(self._open)  # asked before reading, so that what it wrote last is read
        if alive and self._file.path.stat().st_size <= self.sent.offset:
            return False
        key = self.sent.key or self._key(alive)
        if not key:
            return False
        self.sent.key = key
        before = self.sent.offset
        run_id = self._child(key)
        if self.sent.done:  # taken for dead, and it wrote again
            self.sent.done, self.sent.status = False, ""
            self._client.update_run(run_id, status="RUNNING")
        batch, offset = Batch(), self.sent.offset
        closed: Event | None = None
        for offset, event in read_events(self._file.path, self.sent.offset):
            if event["event"] in ("artifact", "dataset", "resumed") or _full(batch):
                self._flush(run_id, batch)
                batch = Batch()
            self._add(run_id, batch, event)
            if event["event"] == "close":
                closed = event
            if _full(batch):
                self._flush(run_id, batch)
                batch = Batch()
                self.sent.offset = offset
                self.sent.write(self._file)
        self._flush(run_id, batch)
        self.sent.offset = offset
        if closed is None and not alive:
            closed = {"status": "KILLED", "error": "", "time_ms": self._last_ms()}
        if closed is not None:
            self.sent.damaged = damaged_lines(self._file.path)
            if self.sent.damaged:
                self._client.set_tag(run_id, "damaged_journal_lines", ", ".join(map(str, self.sent.damaged)))
            self._close(key, run_id, closed)
        if self.sent.offset != before or closed is not None:
            self.sent.write(self._file)
        return self.sent.offset != before

    def child_run(self) -> str:
        """The MLflow run of this journal, created under its pipeline's parent run if the courier has not done so."""
        return self._child(self.sent.key or self._key(alive=False))

    def _key(self, alive: bool) -> str:
        """The run that the journal belongs to; empty while a stage that may resume has not yet said whether it does."""
        for _, event in read_events(self._file.path):
            if event["event"] == "resumed":
                return str(event["run"])
            if event["event"] == "close":
                break
            if event["event"] == "metrics" and not all(name.startswith("system/") for name in event["values"]):
                break
        else:
            if alive and self._open.get("may_resume"):
                return ""
        return self._file.attempt

    def _child(self, key: str) -> str:
        """The run of this journal, under the parent run of its pipeline."""
        parent = self._parent()
        first = self._open
        identity = {
            NAME_TAG: self._file.stage,
            PARENT_TAG: parent,
            PIPELINE_TAG: self._file.pipeline,
            "tisslm.stage": self._file.stage,
        }
        record = self._connection.find_or_create_run(key, identity, first["time_ms"])
        if not record.complete:
            self._log_texts(record.run_id, first["params"], {**first["tags"], **identity})
            record = replace(record, complete=True)
            remember_run(self._root, key, record)
        return record.run_id

    def _parent(self) -> str:
        first = self._open
        key, pipeline = pipeline_key(self._file.pipeline), first["pipeline"]
        identity = {
            NAME_TAG: pipeline.get("name") or self._file.pipeline,
            PIPELINE_TAG: self._file.pipeline,
            "tisslm.stage": "pipeline",
        }
        record = self._connection.find_or_create_run(key, identity, first["time_ms"])
        if not record.complete:
            self._log_texts(record.run_id, first["all_params"], {**first["tags"], **identity})
            record = replace(record, complete=True)
            remember_run(self._root, key, record)
        if record.status != "RUNNING" and not self.sent.done:
            self._client.update_run(record.run_id, status="RUNNING")
            remember_run(self._root, key, replace(record, status="RUNNING"))
        return record.run_id

    def _log_texts(self, run_id: str, params: dict[str, Any], tags: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        texts = [Param(allowed_name(k), _text(v)) for k, v in params.items()]
        labels = [RunTag(allowed_name(k), _text(v)) for k, v in tags.items()]
        for entries in _pieces(texts, BATCH_ENTRIES):
            self._client.log_batch(run_id, params=entries)
        for entries in _pieces(labels, BATCH_ENTRIES):
            self._client.log_batch(run_id, tags=entries)

    def _add(self, run_id: str, batch: Batch, event: Event) -> None:
        kind = event["event"]
        if kind == "metrics":
            rows = [(allowed_name(k), float(v), event["time_ms"], event["step"]) for k, v in event["values"].items()]
            batch.metrics += rows
            if event.get("final"):
                batch.finals += rows
        elif kind == "tags":
            batch.tags.update(event["values"])
        elif kind == "dataset":
            self._send_dataset(run_id, event)
        elif kind == "artifact":
            path = self._file.files / event["name"]
            if path.is_file():
                self._client.log_artifact(run_id, str(path), event["folder"] or None)
        elif kind == "resumed" and event["run"] != self._file.attempt:
            self._client.update_run(run_id, status="RUNNING")
            parent = known_run(self._root, pipeline_key(self._file.pipeline))
            batch.tags.update({PIPELINE_TAG: self._file.pipeline, "resumed_at_step": str(event["step"])})
            if parent is not None:
                batch.tags[PARENT_TAG] = parent.run_id  # the run that finishes the work shows all of it

    def _send_dataset(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": event["path"]})
        dataset = Dataset(
            event["name"], event["digest"][:36], "local", source, profile=json.dumps(event.get("profile", {}))
        )
        tags = [InputTag("mlflow.data.context", event["context"])]
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])

    def _flush(self, run_id: str, batch: Batch) -> None:
        from mlflow.entities import Metric, RunTag

        for rows in _pieces(batch.metrics, BATCH_METRICS):
            self._client.log_batch(run_id, metrics=[Metric(*row) for row in rows])
        labels = [RunTag(allowed_name(k), _text(v)) for k, v in batch.tags.items()]
        for entries in _pieces(labels, BATCH_ENTRIES):
            self._client.log_batch(run_id, tags=entries)
        parent = known_run(self._root, pipeline_key(self._file.pipeline))
        if batch.finals and parent is not None:
            stage = self._file.stage
            named = [(f"{stage}.{name}", *rest) for name, *rest in batch.finals]
            if stage == MAIN_STAGE:
                named += batch.finals
            for rows in _pieces(named, BATCH_METRICS):
                self._client.log_batch(parent.run_id, metrics=[Metric(*row) for row in rows])

    def _close(self, key: str, run_id: str, event: Event) -> None:
        self._check_arrival(key, run_id)
        if event.get("error"):
            self._client.set_tag(run_id, "error", _text(event["error"]))
        self._connection.end_run(key, event["status"], event["time_ms"])
        self.sent.done, self.sent.status = True, event["status"]

    def _check_arrival(self, key: str, run_id: str) -> None:
        """Read the run back; where something is missing the journal starts again from its beginning.

        Raises:
            TrackingError: The server took what was sent and does not have it.
        """
        missing = missing_records(self._client, self._file, run_id, self._open["params"])
        if not missing:
            return
        for note in (key, pipeline_key(self._file.pipeline)):
            forget_run(self._root, note)  # so that params and tags go again as well
        self.sent = Sent(self.sent.uri)
        self.sent.write(self._file)
        shown = ", ".join(missing[:3])
        raise self._connection.impostor(f"it took stage {self._file.stage}, and does not have {shown}")

    def _last_ms(self) -> int:
        return max((int(event["time_ms"]) for _, event in read_events(self._file.path)), default=0)


def _full(batch: Batch) -> bool:
    return len(batch.metrics) >= BATCH_METRICS or len(batch.tags) >= BATCH_ENTRIES


def _pieces(entries: list[Any], size: int) -> list[list[Any]]:
    return [entries[i : i + size] for i in range(0, len(entries), size)]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
