"""The pipeline as a Prefect flow: one task per stage of `dvc.yaml`, independent stages side by side.

DVC decides what is up to date and does the work (`dvc repro --single-item STAGE`, a process per stage); Prefect gives
order, retries, logs, artifacts and a view. Prefect's own caching of results stays off.
"""

# No `from __future__ import annotations` here: Prefect's runner pickles the flow function by value, and the parameters'
# types must come along as objects, not as names.

import contextlib
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from types import FrameType
from typing import Annotated, Any

from coolname import generate_slug
from prefect import flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import WithJsonSchema

from flows.artifacts import publish_report, publish_summary
from flows.crashes import mark_crashed_run, note_flow_run
from flows.current import REPRODUCER, current_observer
from flows.outcome import Outcome
from flows.parameters import overrides_schema, stage_schema
from flows.preparation import prepare_run
from flows.presets import Preset
from flows.processes import Processes
from flows.reproduce import Reproducer, StoppedError
from model.errors import TissLMError
from tasks.courier import deliver
from tasks.graph import Stage
from tasks.journal import close_pipeline
from tasks.settings import read_settings
from tasks.workspace import find_workspace, run_lock

RETRY_DELAYS_S = [1.0, 3.0, 10.0, 30.0]
SIDE_BY_SIDE: TaskRunner[PrefectFuture[Any]] = ThreadPoolTaskRunner(max_workers=4)  # type: ignore[assignment]

Overrides = Annotated[dict[str, Any], WithJsonSchema(overrides_schema())]
StageName = Annotated[str, WithJsonSchema(stage_schema())]


def is_transient(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage is worth another try: a lock, a server that restarts; never a user's mistake."""
    try:
        state.result()
    except TissLMError as error:
        return error.transient
    except Exception:  # noqa: BLE001  (a defect does not get better by trying again)
        return False
    return False


@task(
    task_run_name="{stage}",
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def reproduce_stage(stage: str, force: bool) -> Outcome:
    """Bring one stage up to date, its output streamed into this task's logs; then publish its report as artifacts."""
    reproducer, logger = REPRODUCER.get(), get_run_logger()
    outcome = reproducer.reproduce(stage, force, logger.info)
    logger.info("%s: %s (%.1f s)", outcome.how, outcome.headline or "no report", outcome.seconds)
    publish_report(reproducer.root, stage)
    return outcome


def run_name() -> str:
    """A readable name for a flow run: `smoke-20261122-0304-brave-otter`."""
    preset = runtime.flow_run.parameters.get("preset") or "run"
    return f"{preset}-{datetime.now():%Y%m%d-%H%M}-{generate_slug(2)}"


@flow(
    name="pipeline",
    flow_run_name=run_name,
    task_runner=SIDE_BY_SIDE,
    persist_result=False,
    validate_parameters=True,
)
def pipeline(
    preset: Preset | None = None,
    overrides: Overrides | None = None,
    from_stage: StageName | None = None,
    force: bool = False,
    wait: bool = False,
) -> Any:
    """Turn the corpus into a registered model: every stage whose inputs, parameters or code changed runs.

    Args:
        preset: Named settings to apply to params.yaml first.
        overrides: New values by dotted name, e.g. {"pretrain.steps": 300}; they win over the preset.
        from_stage: Start here; what earlier stages made is taken as it is.
        force: Run stages even if nothing they depend on changed.
        wait: Wait for another run in this workspace instead of refusing.

    Raises:
        TissLMError: The first failed stage's own error, or a wrong parameter before anything ran.
    """
    root = find_workspace()
    observer = current_observer()
    with run_lock(root, wait, observer.note):
        stages = prepare_run(root, preset, overrides or {}, from_stage, observer.note)
        observer.note(f"run {runtime.flow_run.name}")
        mark_crashed_run(root)
        processes = Processes(root)
        reproducer = Reproducer(root, runtime.flow_run.name, str(runtime.flow_run.id), observer, processes)
        note_flow_run(root, str(runtime.flow_run.id))
        with stop_on_signals(processes):
            return _run_stages(reproducer, stages, force)


def _run_stages(reproducer: Reproducer, stages: dict[str, Stage], force: bool) -> Any:
    token = REPRODUCER.set(reproducer)
    futures: dict[str, PrefectFuture[Outcome]] = {}
    try:
        for name, stage in stages.items():
            before = [futures[other] for other in stage.after if other in futures]
            submit = reproduce_stage.with_options(name=name).submit
            futures[name] = submit(name, force, return_state=False, wait_for=before)
        outcomes, errors = _collect(reproducer, futures)
    finally:
        REPRODUCER.reset(token)
    stopped = reproducer.processes.stopping.is_set()
    deliver_journals(reproducer, "KILLED" if stopped else "FAILED" if errors else "FINISHED")
    if stopped:
        return Cancelled(message="stopped by a signal; run again to go on")
    if errors:
        raise next(iter(errors.values()))
    publish_summary(reproducer.root, outcomes)
    return outcomes


def deliver_journals(reproducer: Reproducer, status: str) -> None:
    """Close the run in MLflow and wait a little for its metrics; what does not arrive stays in the journals."""
    root = reproducer.root
    close_pipeline(root, reproducer.pipeline_run, status)
    wait_s = 0.0 if status == "KILLED" else read_settings().tracking_wait_s
    delivery = deliver(root, wait_s)
    if not delivery.delivered and status != "KILLED":
        left = len(delivery.waiting) + len(delivery.refused)
        reproducer.observer.note(
            f"{left} runs have not arrived in MLflow ({delivery.problem or 'it is slow'}); nothing is lost, "
            "the next run or `tisslm tracking sync` sends them"
        )


def _collect(
    reproducer: Reproducer, futures: dict[str, PrefectFuture[Outcome]]
) -> tuple[dict[str, Outcome], dict[str, TissLMError]]:
    outcomes: dict[str, Outcome] = {}
    errors: dict[str, TissLMError] = {}
    for name, future in futures.items():
        future.wait()
        if not future.state.is_final():
            continue  # never started: a stage before it failed
        result: object = future.result(raise_on_failure=False)
        if isinstance(result, Outcome):
            outcomes[name] = result
        elif isinstance(result, StoppedError):
            continue
        elif isinstance(result, TissLMError):
            errors[name] = result
            reproducer.observer.failed(name, result)
        elif isinstance(result, BaseException):
            raise result
    return outcomes, errors


@contextlib.contextmanager
def stop_on_signals(processes: Processes) -> Iterator[None]:
    """On SIGINT and SIGTERM end the stages' processes, and the flow as cancelled; obey a second signal at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def stop(_number: int, _frame: FrameType | None) -> None:
        if processes.stopping.is_set():
            raise KeyboardInterrupt
        processes.stop()

    for kind in (signal.SIGINT, signal.SIGTERM):
        before[kind] = signal.signal(kind, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
