"""`tisslm trace` and `tisslm tracking`: where things came from, and whether MLflow has all of it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.registered import registered_name
from cli.tables import print_json, print_rows

tracking = typer.Typer(help="Metrics in MLflow.", no_args_is_help=True, rich_markup_mode=None)

TRACE_EXAMPLES = """\b
Examples:
  tisslm trace champion
  tisslm trace 3
  tisslm trace data/pretrained
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog=TRACE_EXAMPLES)(trace)
    app.add_typer(tracking, name="tracking")


def trace(
    name: Annotated[
        str,
        typer.Argument(
            help="a version, alias, MLflow run, git commit, flow run, or model folder",
            autocompletion=completion.versions,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Say where a model or run came from."""
    from dataclasses import asdict

    from tasks.trace import trace as trace_name

    root, model = registered_name()
    found = trace_name(root, name, model)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        facts = {
            "found by": one.found_by,
            "versions": ", ".join(one.versions),
            "identity": one.identity,
            **{f"MLflow run {stage}": run for stage, run in one.runs.items()},
            "git commit": one.git_commit + (" (with uncommitted changes)" if one.git_dirty else ""),
            "flow run": one.flow_run,
            "params digest": one.params_digest,
            "stages in dvc.lock": ", ".join(one.stages),
            "files": f"{len(one.files)} with sha256 (--json lists them)" if one.files else "",
            **one.facts,
        }
        print_rows([{"fact": key, "value": str(value)} for key, value in facts.items() if value])


@tracking.command()
def sync(
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="longest wait for the server")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Send to MLflow what stages journalled while it could not be reached; exit code 16 if some of it still waits."""
    from dataclasses import asdict

    from model.errors import IntegrityError, TrackingError
    from tasks.courier import deliver

    report = deliver(registered_name()[0], wait, again=True)
    if as_json:
        print_json(asdict(report))
    elif report.delivered and not report.damaged:
        print(f"everything has arrived at {report.uri}")
    if not report.delivered:
        left = len(report.waiting) + len(report.refused)
        why = report.problem or "; ".join(report.refused) or "no answer yet"
        raise TrackingError(
            f"{report.uri}: {left} runs have not arrived ({why}); nothing is lost, "
            "run `tisslm tracking sync` again when the server answers"
        )
    if report.damaged:
        raise IntegrityError(
            f"{'; '.join(report.damaged)}; everything else has arrived at {report.uri}; "
            "check the disk, and move the journal away to silence this"
        )
