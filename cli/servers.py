"""`tisslm ui` and `tisslm deploy`: servers on the loopback interface until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion

DEPLOY_EXAMPLES = """\b
Trigger it from another terminal (deploy prints the address to use):
  prefect deployment run pipeline/tisslm --param preset=smoke --watch
  prefect deployment run pipeline/tisslm --params '{"overrides": {"pretrain.steps": 300}}'
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(ui)
    app.command(epilog=DEPLOY_EXAMPLES)(deploy)


def ui(
    mlflow_port: Annotated[int, typer.Option(min=0, max=65535, help="a free one is taken if it is in use")] = 5000,
    prefect_port: Annotated[int, typer.Option(min=0, max=65535, help="a free one is taken if it is in use")] = 4200,
    open_browser: Annotated[bool, typer.Option("--open", help="open both in the browser")] = False,
) -> None:
    """Show all runs in MLflow and Prefect, in the browser.

    Both listen on the loopback interface until Ctrl-C.
    """
    from flows.user_interface import serve_user_interface
    from tasks.workspace import find_workspace

    serve_user_interface(find_workspace(), mlflow_port, prefect_port, open_browser)


def deploy(
    name: Annotated[str, typer.Option(help="name of the deployment")] = "tisslm",
    cron: Annotated[str | None, typer.Option(help='run on a schedule, e.g. "0 3 * * *"')] = None,
    interval: Annotated[int | None, typer.Option(min=60, metavar="SECONDS", help="run every so many seconds")] = None,
    preset: Annotated[
        str | None, typer.Option(help="preset of runs that name none", autocompletion=completion.presets)
    ] = None,
    timezone: Annotated[str, typer.Option(help="of --cron: an IANA name, e.g. Europe/Berlin")] = "UTC",
    prefect_port: Annotated[int, typer.Option(min=0, max=65535, help="of the server, if one has to be started")] = 4200,
) -> None:
    """Serve the pipeline as a Prefect deployment until Ctrl-C.

    A wrong parameter is refused before anything runs.
    """
    from flows.deploy import serve_deployment
    from tasks.workspace import find_workspace

    serve_deployment(find_workspace(), name, cron, interval, preset, prefect_port, timezone)
