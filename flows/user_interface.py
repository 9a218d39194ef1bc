"""Both web pages of a workspace, MLflow and Prefect, on the databases that its runs have filled."""

from __future__ import annotations

import contextlib
import time
import webbrowser
from pathlib import Path

from flows.run import signals_as_interrupt, use_workspace_environment
from flows.servers import (
    Server,
    await_server,
    end_server,
    free_port,
    record_servers,
    refuse_second_ui,
    start_mlflow,
    start_prefect,
)
from model.errors import TrackingError
from tasks.workspace import STATE


def serve_user_interface(root: Path, mlflow_port: int, prefect_port: int, open_browser: bool) -> None:
    """Start both servers, print their addresses, and end them at Ctrl-C or SIGTERM.

    Raises:
        BusyError: They already run in this workspace.
        TrackingError: A server did not start, or ended on its own.
    """
    use_workspace_environment(root)
    (root / STATE).mkdir(exist_ok=True)
    refuse_second_ui(root)
    servers: list[Server] = []
    with signals_as_interrupt(), contextlib.suppress(KeyboardInterrupt):
        try:
            servers.append(start_mlflow(root, free_port(mlflow_port)))
            servers.append(start_prefect(root, free_port(prefect_port), ui=True))
            print("starting MLflow and Prefect (half a minute the first time) ...", flush=True)
            for server in servers:
                await_server(server)
            print(f"MLflow:  {servers[0].address}   runs, metrics, models")
            print(f"Prefect: {servers[1].address}   flow runs, logs, reports of the stages")
            print("Ctrl-C ends both", flush=True)
            with record_servers(root, servers):
                if open_browser:
                    for server in servers:
                        webbrowser.open(server.address)
                _until_one_ends(servers)
        finally:
            for server in servers:
                end_server(root, server)


def _until_one_ends(servers: list[Server]) -> None:
    while True:
        for server in servers:
            code = server.process.poll()
            if code is not None:
                raise TrackingError(f"the {server.name} server ended with exit code {code}; see {server.log}")
        time.sleep(0.5)
