"""The pipeline as a deployment: runs that a schedule, the command line or the API starts, one after the other."""

from __future__ import annotations

import atexit
import contextlib
import os
import warnings
from pathlib import Path

from flows.presets import read_preset
from flows.run import signals_as_interrupt, use_workspace_environment
from flows.servers import await_server, chosen_prefect_api, end_server, free_port, record_servers, start_prefect
from model.errors import ConfigError
from tasks.workspace import prepare_workspace


def serve_deployment(
    root: Path, name: str, cron: str | None, interval: int | None, preset: str | None, prefect_port: int
) -> None:
    """Serve the deployment until Ctrl-C or SIGTERM, on the Prefect server that runs here or on one of its own.

    Args:
        root: The workspace that runs work in.
        name: The deployment's name: `pipeline/NAME`.
        cron: A schedule in cron's words.
        interval: A schedule in seconds.
        preset: The preset of runs that name none.
        prefect_port: Port of the server, if one has to be started and the port is free.

    Raises:
        ConfigError: The schedule or the preset is wrong.
        TrackingError: The Prefect server does not answer.
    """
    if cron is not None and interval is not None:
        raise ConfigError("--cron and --interval: expected one of them, got both")
    if preset is not None:
        read_preset(preset)
    use_workspace_environment(root)
    prepare_workspace(root, print)
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals_as_interrupt())
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        api = chosen_prefect_api(root)
        if api is None:
            server = start_prefect(root, free_port(prefect_port), ui=True)
            atexit.register(end_server, root, server)
            print("starting a Prefect server (half a minute the first time) ...", flush=True)
            await_server(server)
            stack.enter_context(record_servers(root, [server]))
            api = f"{server.address}/api"
        os.environ["PREFECT_API_URL"] = api
        _check_cron(cron)
        stack.enter_context(contextlib.chdir(root))
        _serve(name, cron, interval, {"preset": preset} if preset else {}, api)


def _check_cron(cron: str | None) -> None:
    if cron is None:
        return
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron)
    except ValueError as error:
        raise ConfigError(
            f'--cron "{cron}": not a schedule; expected five fields, e.g. "0 3 * * *" for every day at 3'
        ) from error


def _serve(name: str, cron: str | None, interval: int | None, parameters: dict[str, str], api: str) -> None:
    from prefect.types.entrypoint import EntrypointType

    from flows.pipeline import pipeline

    print(f"serving pipeline/{name}; Ctrl-C ends it. From another terminal:")
    print(f"  PREFECT_API_URL={api} prefect deployment run pipeline/{name} --param preset=smoke --watch", flush=True)
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop'")  # Prefect's own, at SIGTERM
    pipeline.serve(
        name=name,
        cron=cron,
        interval=interval,
        parameters=parameters,
        limit=1,
        enforce_parameter_schema=True,
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
