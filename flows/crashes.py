"""Flow runs whose process was killed: Prefect would show them as running for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path
from uuid import UUID

from model.errors import IntegrityError
from model.files import read_json, write_json

RECORD = ".tisslm/flow_run.json"


def note_flow_run(root: Path, flow_run: str) -> None:
    """Note the flow run until Prefect knows its end; a killed process, or a lost server, leaves the note behind."""
    write_json(root / RECORD, {"flow_run": flow_run})


def forget_flow_run(root: Path) -> None:
    """Drop the note: the flow run has its final state."""
    (root / RECORD).unlink(missing_ok=True)


def has_open_run(root: Path) -> bool:
    """Whether a flow run is noted whose end Prefect may not know."""
    return (root / RECORD).is_file()


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
                client.set_flow_run_state(flow_run, Crashed(message="its process or its server was killed"), force=True)
    forget_flow_run(root)
