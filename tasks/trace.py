"""From any one name of a result to all others: version, MLflow run, git commit, flow run, model folder.

The registry is the hub: every version carries what made it. A name is tried as a model folder, then as a version,
an MLflow run, a git commit and a flow run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import RegistryError
from tasks.registered_files import SCORE_TAG, SOURCES_TAG, computing_files
from tasks.registry import ALIASES, REMEDY, ModelVersion, Registry, open_registry
from tasks.settings import read_settings
from tasks.tracking import (
    INPUT_TAG,
    OUTPUT_TAG,
    PARENT_TAG,
    PIPELINE_TAG,
    REGISTERED_TAG,
    Connection,
    connect,
    tracking_errors,
)

GIT_PREFIX = re.compile(r"^[0-9a-f]{4,40}$")
LOCK_TAG = "dvc_lock."
QUANTIZED = "quantized/"


@dataclass(frozen=True)
class Trace:
    """What belongs together.

    Attributes:
        found_by: What the given name was: folder, version, MLflow run, git commit or flow run.
        versions: Registry versions, `name/number`, with their aliases.
        identity: Digest of everything that computes; empty where no version was made.
        runs: MLflow run ids by name: the pipeline's and each stage's.
        git_commit: Full id; empty outside git.
        git_dirty: Whether the tree differed from the commit.
        flow_run: Prefect flow run id; empty for a plain `dvc repro`.
        params_digest: sha256 of all parameters.
        stages: Entries of `dvc.lock`, by stage.
        files: sha256 of every file of the version.
        facts: Everything else recorded: libraries, machine, threads, test result.
    """

    found_by: str
    versions: tuple[str, ...]
    identity: str
    runs: Mapping[str, str]
    git_commit: str
    git_dirty: bool
    flow_run: str
    params_digest: str
    stages: Mapping[str, Any]
    files: Mapping[str, str]
    facts: Mapping[str, str]


def trace(root: Path, thing: str, name: str = "tisslm") -> list[Trace]:
    """Everything that belongs to a thing; several results where it made several versions, newest first.

    Args:
        root: The workspace.
        thing: A version (`tisslm@champion`, `tisslm/3`, `3`, `champion`), an MLflow run id, a git commit or the
            beginning of one, a Prefect flow run's id or name, or a model folder.
        name: The model name where `thing` has none.

    Raises:
        RegistryError: Nothing is known by that name.
        TrackingError: The tracking server cannot be reached.
    """
    with tracking_errors(root, REMEDY):
        folder = Path(thing) if Path(thing).is_absolute() else root / thing
        if (folder / "config.json").is_file():
            return _of_folder(root, folder, name, thing)
        found = _of_version(root, thing, name)
        if found:
            return found
        connection = connect(root, read_settings())
        for kind, runs in (
            ("MLflow run", _runs_by_id(connection, thing)),
            ("git commit", _runs_by_commit(connection, thing)),
            ("flow run", _runs_by_flow(connection, thing)),
        ):
            if runs:
                return _of_runs(connection, kind, runs)
    raise RegistryError(
        f"trace {thing}: nothing is known by that name; expected a version ({name}@champion, {name}/3), "
        "an MLflow run id, a git commit, a flow run or a model folder"
    )


def _of_folder(root: Path, folder: Path, name: str, thing: str) -> list[Trace]:
    """Versions that hold all files of a folder: the published one, or the one it was published from."""
    files = computing_files(folder)
    connection = connect(root, read_settings())
    versions = [v for n in _names(connection, name) for v in Registry(connection, n).versions()]
    found = [v for v in reversed(versions) if any(_holds(v, files, place) for place in ("", QUANTIZED))]
    if not found:
        raise RegistryError(f"trace {thing}: no registered version has these bytes; publish them with `tisslm run`")
    return [_trace(connection, "folder", version) for version in found]


def _holds(version: ModelVersion, files: Mapping[str, str], place: str) -> bool:
    return all(version.checksums.get(place + name) == sha256 for name, sha256 in files.items())


def _of_version(root: Path, thing: str, name: str) -> list[Trace]:
    match = re.fullmatch(r"(?:(?:models:/)?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[@/])?v?(?P<version>\w+)", thing)
    if match is None or not (match["version"] in ALIASES or match["version"].isdigit()):
        return []
    registry = open_registry(root, match["name"] or name)
    version = registry.get(match["version"])
    return [_trace(registry.connection, "version", version)] if version else []


def _names(connection: Connection, first: str) -> list[str]:
    names = [model.name for model in connection.client.search_registered_models(max_results=1000)]
    return sorted(names, key=lambda n: n != first)


def _runs_by_id(connection: Connection, thing: str) -> list[Any]:
    if not re.fullmatch(r"[0-9a-f]{32}", thing):
        return []
    experiments = [e.experiment_id for e in connection.client.search_experiments()]
    return list(connection.client.search_runs(experiments, f"attributes.run_id = '{thing}'"))


def _runs_by_commit(connection: Connection, thing: str) -> list[Any]:
    if not GIT_PREFIX.match(thing):
        return []
    experiments = [e.experiment_id for e in connection.client.search_experiments()]
    query = f"tags.git_commit LIKE '{thing}%' and tags.`tisslm.stage` = 'pipeline'"
    return list(connection.client.search_runs(experiments, query, order_by=["attributes.start_time DESC"]))


def _runs_by_flow(connection: Connection, thing: str) -> list[Any]:
    for tag in ("flow_run", "flow_run_name", PIPELINE_TAG):
        runs = [r for r in connection.runs_with_tag(tag, thing) if PARENT_TAG not in r.data.tags]
        if runs:
            return runs
    return []


def _of_runs(connection: Connection, kind: str, runs: list[Any]) -> list[Trace]:
    """The versions that came out of pipeline runs; where none did, what the runs themselves recorded."""
    parents = dict.fromkeys(run.data.tags.get(PARENT_TAG, run.info.run_id) for run in runs)
    versions = [v for name in _names(connection, "") for v in Registry(connection, name).versions()]
    found = []
    for parent in parents:
        family = [connection.client.get_run(parent), *connection.runs_with_tag(PARENT_TAG, parent)]
        ids = {run.info.run_id for run in family}
        identities = {run.data.tags.get(REGISTERED_TAG) for run in family}
        made = [v for v in versions if v.run_id in ids or v.identity in identities]
        found += [_trace(connection, kind, v) for v in reversed(made)] or [_trace_of_run(connection, kind, parent)]
    return found


def _family(connection: Connection, parent_id: str) -> dict[str, str]:
    """The ids of a pipeline's run and of its stages' runs, by stage (the last attempt of each)."""
    children = connection.runs_with_tag(PARENT_TAG, parent_id)
    return {"pipeline": parent_id} | {r.data.tags.get("tisslm.stage", r.info.run_name): r.info.run_id for r in children}


def _makers(connection: Connection, tags: Mapping[str, str]) -> dict[str, str]:
    """The runs that made what a version was published from, also those of an earlier pipeline run."""
    makers = {}
    for key, digest in tags.items():
        if key.startswith(INPUT_TAG):
            for run in connection.runs_with_tag(OUTPUT_TAG, digest):
                makers[run.data.tags.get("tisslm.stage", key)] = run.info.run_id
    return makers


def _trace(connection: Connection, kind: str, version: ModelVersion) -> Trace:
    parent = connection.client.get_run(version.run_id).data.tags.get(PARENT_TAG)
    family = _family(connection, parent) if parent else {"publish": version.run_id}
    runs = _makers(connection, version.tags) | family
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    return _assemble(kind, (f"{version.name}/{version.version}{aliases}",), version.tags, runs, version)


def _trace_of_run(connection: Connection, kind: str, run_id: str) -> Trace:
    run = connection.client.get_run(run_id)
    return _assemble(kind, (), run.data.tags, _family(connection, run_id), None)


def _assemble(
    kind: str, versions: tuple[str, ...], tags: Mapping[str, str], runs: Mapping[str, str], version: ModelVersion | None
) -> Trace:
    shown = (SOURCES_TAG, "library.", "machine.", "threads", SCORE_TAG, "git_branch")
    return Trace(
        found_by=kind,
        versions=versions,
        identity=version.identity if version else "",
        runs=dict(runs),
        git_commit=tags.get("git_commit", ""),
        git_dirty=tags.get("git_dirty") == "true",
        flow_run=tags.get("flow_run", ""),
        params_digest=tags.get("params_digest", ""),
        stages={k.removeprefix(LOCK_TAG): json.loads(v) for k, v in tags.items() if k.startswith(LOCK_TAG)},
        files=version.checksums if version else {},
        facts={k: v for k, v in tags.items() if k.startswith(shown)},
    )
