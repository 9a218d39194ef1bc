"""The connection to MLflow, and which MLflow run stands for which journal.

MLflow costs seconds to import and a network call each time it is used, so only the courier, the registry and `trace`
use it; stages write to their journal. A run is found by its tag `tisslm.journal` before it is created, under a lock
of the workspace, so that a journal has one run whoever asks first and however often somebody is killed.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import IntegrityError, TissLMError, TrackingError
from model.files import read_json, write_json
from tasks.databases import ensure_database, revision
from tasks.relocation import relocate
from tasks.settings import TELEMETRY_OFF, Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

JOURNAL_TAG = "tisslm.journal"
PIPELINE_TAG = "tisslm.pipeline"
PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
INPUT_TAG = "input."
"""Begins the tags with the digests of what a stage read."""
OUTPUT_TAG = "output"
"""The digest of what a stage made."""
REGISTERED_TAG = "registry.identity"
"""The identity of the version that a publish stage made or found."""
SYNC_LATER = "nothing is lost, start it (or correct MLFLOW_TRACKING_URI) and run `tisslm tracking sync`"
FAILING = ("mlflow", "requests", "urllib3", "sqlalchemy", "sqlite3", "alembic", "json", "google")
"""Packages whose errors say that the server, or whoever answers in its place, is at fault."""
STORE_HOLDS = ("runs", "registered_models", "model_versions")
PERMANENT = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE")
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND")


@dataclass(frozen=True)
class RunRecord:
    """What the workspace knows of one MLflow run, in `.tisslm/runs/KEY.json`.

    Attributes:
        run_id: MLflow's id.
        uri: The tracking server that has it, as `server_key` calls it.
        status: The last status sent.
        complete: Whether its params and tags have arrived.
    """

    run_id: str
    uri: str
    status: str = "RUNNING"
    complete: bool = False


def tracking_uri(root: Path) -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or a SQLite database in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root)


def default_uri(root: Path) -> str:
    """The database in the workspace."""
    return f"sqlite:///{root.resolve() / 'mlflow.db'}"


def server_key(root: Path) -> str:
    """What the workspace's notes call its tracking server: the same wherever the workspace lies."""
    uri = tracking_uri(root)
    return "the workspace" if uri == default_uri(root) else shown_uri(uri)


def shown_uri(uri: str) -> str:
    """An address without its user and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


@contextmanager
def tracking_errors(root: Path, remedy: str = SYNC_LATER) -> Iterator[None]:
    """Turn whatever MLflow raises into one line of ours; `MlflowException` itself passes only as a cause."""
    try:
        yield
    except TissLMError:
        raise
    except Exception as error:
        if not is_tracking_failure(error):
            raise
        raise TrackingError(f"tracking server {shown_uri(tracking_uri(root))}: {reason(error)}; {remedy}") from error


def reason(error: Exception) -> str:
    """What an error says, in one line without passwords."""
    return shown_uri(" ".join(str(error).split()))[:300] or type(error).__name__


def is_tracking_failure(error: Exception) -> bool:
    """Whether an exception comes from MLflow, its database or the network, and not from a bug of ours."""
    return type(error).__module__.split(".")[0] in FAILING


def error_code(error: BaseException | None) -> str:
    """MLflow's code of an error or of its cause, e.g. `RESOURCE_DOES_NOT_EXIST`; empty where it has none."""
    while error is not None:
        code = getattr(error, "error_code", "")
        if code:
            return str(code)
        error = error.__cause__
    return ""


@contextmanager
def workspace_lock(root: Path, name: str) -> Iterator[None]:
    """Hold a lock of the workspace; waits for it (holders are quick), the kernel frees it however they end."""
    path = root / ".tisslm" / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def known_run(root: Path, key: str) -> RunRecord | None:
    """The run of a journal (by attempt id) or of a pipeline (`pipeline:ID`), as far as the workspace knows."""
    try:
        record = RunRecord(**read_json(_record_path(root, key)))
    except (IntegrityError, TypeError):
        return None
    return record if record.uri == server_key(root) else None


def remember_run(root: Path, key: str, record: RunRecord) -> None:
    """Note a run for `known_run`."""
    write_json(_record_path(root, key), asdict(record))


def forget_run(root: Path, key: str) -> None:
    """Drop a note, because the server has no such run (another database)."""
    _record_path(root, key).unlink(missing_ok=True)


def _record_path(root: Path, key: str) -> Path:
    return root / ".tisslm" / "runs" / (re.sub(r"[^\w.-]", "_", key) + ".json")


def pipeline_key(pipeline_id: str) -> str:
    """The key of a pipeline's parent run."""
    return f"pipeline:{pipeline_id}"


def pipeline_run(root: Path, pipeline_id: str) -> str | None:
    """The MLflow run id of a pipeline run, once its first metrics have arrived; needs no server."""
    record = known_run(root, pipeline_key(pipeline_id))
    return record.run_id if record else None


def allowed_name(name: str) -> str:
    """A metric, param or tag name with only the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


@dataclass(frozen=True)
class Connection:
    """A workspace's connection to its tracking server.

    Attributes:
        client: MLflow's client, with short timeouts.
        root: The workspace.
        settings: The experiment's name and timeouts.
    """

    client: MlflowClient
    root: Path
    settings: Settings

    @property
    def uri(self) -> str:
        """What the workspace's notes call the server."""
        return server_key(self.root)

    def prove(self) -> None:
        """Make sure that a tracking server answers at this address, and not something else.

        Raises:
            TrackingError: What answers lists no experiment, which every tracking server has.
            MlflowException: It does not even answer in MLflow's form.
        """
        from mlflow.entities import ViewType

        found = self.client.search_experiments(view_type=ViewType.ALL, max_results=1)
        if not any(experiment.experiment_id and experiment.name for experiment in found):
            raise self.impostor("it lists no experiment")

    def impostor(self, what: str) -> TrackingError:
        """The error for answers that no tracking server gives."""
        return TrackingError(
            f"tracking server {shown_uri(tracking_uri(self.root))}: answers, but not as MLflow does ({what}); "
            f"{SYNC_LATER}"
        )

    def experiment_id(self) -> str:
        """The experiment, created where it is missing; in the default store its files lie in `mlruns/`."""
        name = self.settings.experiment
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.name != name or not experiment.experiment_id:
                raise self.impostor(f"no experiment {name}")
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment.experiment_id)
            return str(experiment.experiment_id)
        local = tracking_uri(self.root) == default_uri(self.root)
        folder = re.sub(r"[^\w.-]", "_", name)
        location = (self.root.resolve() / "mlruns" / folder).as_uri() if local else None
        try:
            return str(self.client.create_experiment(name, artifact_location=location))
        except Exception as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)

    def find_or_create_run(self, key: str, tags: Mapping[str, str], started_ms: int) -> RunRecord:
        """The one run of a journal or pipeline; `tags` must hold `mlflow.runName`."""
        with workspace_lock(self.root, "runs"):
            record = known_run(self.root, key)
            if record is not None:
                return record
            experiment = self.experiment_id()
            found = self.runs_with_tag(JOURNAL_TAG, key, [experiment])
            if found:
                record = RunRecord(found[0].info.run_id, self.uri, found[0].info.status)
            else:
                run = self.client.create_run(experiment, started_ms, {**tags, JOURNAL_TAG: key}, tags[NAME_TAG])
                record = RunRecord(run.info.run_id, self.uri)
                if not record.run_id or self.client.get_run(record.run_id).info.run_id != record.run_id:
                    raise self.impostor("a run that it was asked to create is not there")
            remember_run(self.root, key, record)
            return record

    def end_run(self, key: str, status: str, ended_ms: int) -> None:
        """Give the run of a journal or pipeline its final status, and delete twins of it.

        A twin appears when a frozen server carries out a creation that was given up and repeated.
        """
        record = known_run(self.root, key)
        if record is None:
            return
        self.client.set_terminated(record.run_id, status, ended_ms)
        held = self.client.get_run(record.run_id).info
        if (held.run_id, held.status) != (record.run_id, status):
            raise self.impostor(f"a run that was ended as {status} is {held.status or 'not there'}")
        for run in self.runs_with_tag(JOURNAL_TAG, key, [self.experiment_id()]):
            if run.info.run_id != record.run_id:
                self.client.delete_run(run.info.run_id)
        remember_run(self.root, key, replace(record, status=status))

    def runs_with_tag(self, tag: str, value: str, experiments: list[str] | None = None) -> list[Any]:
        """Runs with a tag, oldest first, in the given experiments or in all."""
        if experiments is None:
            experiments = [e.experiment_id for e in self.client.search_experiments()]
        query = f"tags.`{tag}` = '{value.replace(chr(39), '')}'"
        order = ["attributes.start_time ASC"]
        return list(self.client.search_runs(experiments, query, max_results=100, order_by=order))


def ensure_store(root: Path) -> None:
    """Have a whole MLflow database in the workspace; call it with the workspace's lock `mlflow` held."""
    from mlflow.store.db.utils import _get_latest_schema_revision
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = root.resolve() / "mlflow.db"

    def make(new: Path) -> None:
        SqlAlchemyStore(f"sqlite:///{new}", str(root.resolve() / "mlruns")).engine.dispose()

    def is_whole() -> bool:
        return bool(revision(path) == _get_latest_schema_revision())

    ensure_database(path, make, STORE_HOLDS, is_whole)


def connect(root: Path, settings: Settings, timeout_s: float | None = None) -> Connection:
    """A connection with short timeouts and no telemetry; creating it does not yet reach the server.

    Raises:
        TrackingError: The address is not one that MLflow knows, or a database cannot be opened.
    """
    seconds = str(max(1, math.ceil(timeout_s or settings.tracking_timeout_s)))
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = seconds
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with tracking_errors(root), workspace_lock(root, "mlflow"):  # two first users must not both create the tables
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow.tracking import MlflowClient
        logging.getLogger("alembic").setLevel(logging.WARNING)
        uri = tracking_uri(root)
        if uri == default_uri(root):
            ensure_store(root)
            relocate(root, settings.experiment)
        client = MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)
        return Connection(client, root, settings)
