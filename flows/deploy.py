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
    root: Path,
    name: str,
    cron: str | None,
    interval: int | None,
    preset: str | None,
    prefect_port: int,
    timezone: str = "UTC",
) -> None:
    """Serve the deployment until Ctrl-C or SIGTERM, on the Prefect server that runs here or on one of its own.

    Args:
        root: The workspace that runs work in.
        name: The deployment's name: `pipeline/NAME`.
        cron: A schedule in cron's words.
        interval: A schedule in seconds.
        preset: The preset of runs that name none.
        prefect_port: Port of the server, if one has to be started and the port is free.
        timezone: The IANA name of the time zone that `cron` means.

    Raises:
        ConfigError: The schedule or the preset is wrong.
        TrackingError: The Prefect server does not answer.
    """
    if cron is not None and interval is not None:
        raise ConfigError("--cron and --interval: expected one of them, got both")
    _check_timezone(timezone)
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
        _serve(name, (cron, timezone), interval, {"preset": preset} if preset else {}, api)


def _check_timezone(timezone: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"--timezone {timezone}: no such time zone; expected a name like Europe/Berlin or UTC"
        ) from error


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


def _serve(
    name: str, planned: tuple[str | None, str], interval: int | None, parameters: dict[str, str], api: str
) -> None:
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.pipeline import pipeline

    cron, timezone = planned
    if cron is not None:
        print(f"schedule: {cron} in the time zone {timezone} (--timezone changes it)")
    print(f"serving pipeline/{name}; Ctrl-C ends it. From another terminal:")
    print(f"  PREFECT_API_URL={api} prefect deployment run pipeline/{name} --param preset=smoke --watch", flush=True)
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop'")  # Prefect's own, at SIGTERM
    pipeline.serve(
        name=name,
        schedule=Cron(cron, timezone=timezone) if cron is not None else None,
        interval=interval,
        parameters=parameters,
        limit=1,
        enforce_parameter_schema=True,
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
