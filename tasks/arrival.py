"""Whether a tracking server really has what a journal sent: the run is read back before the journal counts as done.

An answer of 200 proves nothing: a proxy, a captive portal or another program on the port says so too, and MLflow's
client takes an empty object for a success.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tasks.journal_file import JournalFile, read_events

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def missing_records(client: MlflowClient, file: JournalFile, run_id: str, params: dict[str, Any]) -> list[str]:
    """What of a journal the server does not hold, in words; empty where all of it has arrived.

    Args:
        client: MLflow's client.
        file: The journal, delivered to its end.
        run_id: The MLflow run that it went to; other attempts may have written into it as well.
        params: The params that the run must have.

    Raises:
        MlflowException: The server does not answer, or has no such run.
    """
    from tasks.tracking import allowed_name

    steps: dict[str, set[int]] = defaultdict(set)
    tags: set[str] = set()
    datasets: set[str] = set()
    files: dict[str, set[str]] = defaultdict(set)
    for _, event in read_events(file.path):
        kind = event["event"]
        if kind == "metrics":
            for name in event["values"]:
                steps[allowed_name(name)].add(int(event["step"]))
        elif kind == "tags":
            tags.update(map(allowed_name, event["values"]))
        elif kind == "dataset":
            datasets.add(event["name"])
        elif kind == "artifact" and (file.files / event["name"]).is_file():
            files[event["folder"]].add(event["name"])
    run = client.get_run(run_id)
    if run.info.run_id != run_id:
        return [f"the run {run_id}"]
    missing = _absent("params", set(map(allowed_name, params)), run.data.params)
    missing += _absent("tags", tags, run.data.tags)
    missing += _absent("datasets", datasets, {used.dataset.name for used in run.inputs.dataset_inputs})
    for name, wanted in steps.items():
        found = {m.step for m in client.get_metric_history(run_id, name)} if name in run.data.metrics else set()
        if left := len(wanted - found):
            missing.append(f"{left:,} of {len(wanted):,} steps of {name}")
    for folder, names in files.items():
        missing += _absent("files", names, {entry.path for entry in client.list_artifacts(run_id, folder or None)})
    return missing


def _absent(what: str, wanted: set[str], found: Any) -> list[str]:
    left = wanted - set(found)
    return [f"{len(left)} of {len(wanted)} {what}"] if left else []
