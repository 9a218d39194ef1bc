"""`tisslm run` and `tisslm status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import completion
from cli.exit_codes import STOPPED
from cli.quiet import is_quiet
from cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from pathlib import Path

    from flows.run import RunResult

RUN_EXAMPLES = """\b
Examples:
  tisslm run
  tisslm run --preset smoke
  tisslm run --set pretrain.steps=300 --set pretrain.learning_rate=0.001
  tisslm run --set ingest.sources=my-texts/
  tisslm run --from evaluate --force
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(epilog=RUN_EXAMPLES)(run)
    app.command()(status)


def run(
    preset: Annotated[
        str | None,
        typer.Option(help="named settings to apply first; see `tisslm presets`", autocompletion=completion.presets),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="edit params.yaml first; may be given several times",
            autocompletion=completion.assignments,
        ),
    ] = None,
    from_stage: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STAGE",
            help="start here; earlier results are taken as they are",
            autocompletion=completion.stages,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="run stages even if nothing they depend on changed")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="wait for another run in this workspace")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the results as JSON; the rest goes to stderr")] = False,
) -> None:
    """Run every stage that something changed for, up to a registered model.

    --set and --preset edit params.yaml, so `dvc repro`, `git diff` and the next run see the same values.
    """
    from rich.console import Console

    from flows.console import ConsoleView
    from flows.results import collect_results, show_results
    from flows.run import run_pipeline
    from tasks.params_edit import parse_assignments
    from tasks.workspace import find_workspace

    root = find_workspace()
    overrides = parse_assignments(assignments or [])
    console = Console(stderr=as_json, soft_wrap=True)
    view = ConsoleView(Console(quiet=True) if is_quiet() else console)
    try:
        result = run_pipeline(root, view, preset, overrides, from_stage, force, wait)
    except KeyboardInterrupt:
        view.close()
        print("tisslm: stopped; nothing finished is lost: run the same command again to go on", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    finally:
        view.close()
    if as_json:
        print_json(_as_json(root, result))
        return
    if result.since is not None:
        console.print(
            f"nothing changed since {result.since:%Y-%m-%d %H:%M:%S} (`tisslm run --force` runs all the same)"
        )
    show_results(console, root, collect_results(root))


def _as_json(root: Path, result: RunResult) -> dict[str, object]:
    from flows.results import collect_results

    stages = {
        o.stage: {"how": o.how, "headline": o.headline, "seconds": round(o.seconds, 2)}
        for o in result.outcomes.values()
    }
    since = result.since.isoformat() if result.since else None
    return {"changed": result.since is None, "since": since, "stages": stages, "results": collect_results(root).rows}


def status(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Say what `tisslm run` would do, and why."""
    from flows.freshness import changed_stages
    from tasks.graph import downstream, read_graph
    from tasks.params import read_params
    from tasks.workspace import find_workspace, prepare_workspace

    root = find_workspace()
    read_params(root / "params.yaml")  # DVC would only say that the file is corrupted
    prepare_workspace(root, lambda line: None if is_quiet() else print(line, file=sys.stderr))
    graph, changed = read_graph(root), changed_stages(root)
    perhaps = {name for changed_stage in changed if changed_stage in graph for name in downstream(graph, changed_stage)}
    rows = [
        {
            "stage": name,
            "would": "run"
            if name in changed
            else "run if its inputs come out different"
            if name in perhaps
            else "skip",
            "because": "; ".join(changed.get(name, [])[:6]),
        }
        for name in graph
    ]
    if as_json:
        print_json(rows)
    elif not changed:
        print("nothing changed: every stage is up to date")
    else:
        print_rows(rows)
