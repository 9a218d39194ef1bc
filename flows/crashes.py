"""Flow runs whose process was killed: Prefect would show them as running for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from model.errors import IntegrityError
from model.files import read_json, write_json

RECORD = ".tisslm/flow_run.json"


@contextlib.contextmanager
def flow_run_record(root: Path, flow_run: str) -> Iterator[None]:
    """Leave a note of the flow run while it runs; a killed process leaves it behind."""
    path = root / RECORD
    write_json(path, {"flow_run": flow_run})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def mark_crashed_run(root: Path) -> None:
    """Mark the flow run of a killed process as crashed. Call it while the workspace's run lock is held."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    path = root / RECORD
    if not path.is_file():
        return
    with contextlib.suppress(ObjectNotFound, IntegrityError, KeyError, ValueError):
        flow_run = UUID(str(read_json(path)["flow_run"]))
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run).state
            if state is not None and not state.is_final():
                client.set_flow_run_state(flow_run, Crashed(message="its process was killed"), force=True)
    path.unlink(missing_ok=True)
