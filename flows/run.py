"""One pipeline run from start to end: nothing to do is said in seconds, anything else goes through the Prefect flow."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from flows.crashes import forget_flow_run, has_open_run, mark_crashed_run
from flows.freshness import changed_stages
from flows.outcome import Observer, Outcome
from flows.preparation import prepare_run
from flows.server_keeper import ServerKeeper
from flows.servers import answers, await_server, chosen_prefect_api, free_port, start_prefect
from model.errors import TissLMError, TrackingError
from tasks.courier import Courier, ensure_courier
from tasks.settings import read_settings, workspace_environment
from tasks.workspace import run_lock

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

QUIET_PREFECT = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal has our own view; Prefect's logs keep all
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # the server is ours to start, apart from the terminal's Ctrl-C
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        outcomes: How each stage ended, in order; empty when nothing had changed.
        since: When the workspace last changed (its `dvc.lock` was written), if nothing had changed now.
    """

    outcomes: dict[str, Outcome]
    since: datetime | None = None


def use_workspace_environment(root: Path) -> None:
    """Use the workspace's databases here and in children, telemetry off; call it before Prefect is imported."""
    os.environ.update(workspace_environment(root))
    for key, value in QUIET_PREFECT.items():
        os.environ.setdefault(key, value)


def run_pipeline(
    root: Path,
    observer: Observer,
    preset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    from_stage: str | None = None,
    force: bool = False,
    wait: bool = False,
) -> RunResult:
    """Bring the workspace up to date; see `flows.pipeline.pipeline` for the arguments.

    Raises:
        TissLMError: A parameter is wrong (nothing ran), or the first failed stage's own error.
        KeyboardInterrupt: The run was stopped by SIGINT or SIGTERM; its processes have ended.
    """
    use_workspace_environment(root)
    overrides = dict(overrides or {})
    with signals_as_interrupt(), run_lock(root, wait, observer.note):
        stages = prepare_run(root, preset, overrides, from_stage, observer.note)
        if not force and not changed_stages(root, list(stages)):
            close_killed_run(root, observer)
            return RunResult({}, last_change(root))
        use_prefect(root, observer)
        return RunResult(
            _flow(root, observer, {"preset": preset, "overrides": overrides, "from_stage": from_stage, "force": force})
        )


def close_killed_run(root: Path, observer: Observer) -> None:
    """Give the run of a process that was killed behind its last stage its end, in MLflow and in Prefect.

    Only where one was left: a run with nothing to do starts no server.
    """
    settings = read_settings()
    if Courier(root, settings).open_pipelines():
        ensure_courier(root, settings)
    if has_open_run(root):
        observer.note("closing the run that a killed process left open")
        use_prefect(root, observer)
        mark_crashed_run(root)


def _flow(root: Path, observer: Observer, parameters: dict[str, Any]) -> dict[str, Outcome]:
    from flows.current import OBSERVER
    from flows.pipeline import pipeline

    token = OBSERVER.set(observer)
    try:
        with contextlib.chdir(root):
            state = cast("State[Any]", pipeline(**parameters, return_state=True))
    except Exception as error:
        raise server_lost(root, error) from error
    finally:
        OBSERVER.reset(token)
    forget_flow_run(root)
    if state.is_cancelled():
        raise KeyboardInterrupt
    try:
        return cast("dict[str, Outcome]", state.result())
    except Exception as error:
        raise server_lost(root, error) from error


def server_lost(root: Path, error: Exception) -> Exception:
    """The error to show where Prefect could not go on: a line of ours if its server is gone, else the same error."""
    api = os.environ.get("PREFECT_API_URL", "")
    if isinstance(error, TissLMError):
        return error
    unreachable = type(error).__module__.split(".")[0] in {"httpx", "httpcore"}  # perhaps it answers again by now
    if not unreachable and answers(api.removesuffix("/api"), "prefect"):
        return error
    left = ", ".join(changed_stages(root)) or "nothing"
    return TrackingError(
        f"the Prefect server at {api} ended while the run went on; what is finished is kept, left to do: {left}; "
        "the same command goes on from there"
    )


def use_prefect(root: Path, observer: Observer) -> None:
    """Make a Prefect API available: the one that is set or already runs here, else a server for this process.

    The server ends after Prefect's own workers have delivered their last logs and events: exit functions run in
    reverse order, and ours is registered before Prefect is imported.

    Raises:
        TrackingError: `PREFECT_API_URL` does not answer, or the server does not start.
    """
    api = chosen_prefect_api(root)
    if api is None:
        server = start_prefect(root, free_port(0), ui=False)
        keeper = ServerKeeper(root, server, observer.note)
        atexit.register(keeper.end)
        api = f"{server.address}/api"
        os.environ["PREFECT_API_URL"] = api
        import prefect  # noqa: F401  (takes seconds, as the server does: both at once)

        await_server(server)
        keeper.start()
    os.environ["PREFECT_API_URL"] = api


def last_change(root: Path) -> datetime | None:
    """When `dvc.lock` was last written, in local time."""
    lock = root / "dvc.lock"
    return datetime.fromtimestamp(lock.stat().st_mtime).astimezone() if lock.is_file() else None


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, and hear Ctrl-C even where a shell started us in the background with it switched off.

    So what was started is ended in all cases.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
