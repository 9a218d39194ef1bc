"""`tisslm verify` and `tisslm report`: what is under data/."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.tables import print_json, print_rows


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(verify)
    app.command()(report)


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="set damaged outputs aside and restore them from DVC's cache")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Check every byte under data/ against its MANIFEST.json and dvc.lock.

    Exit code 7 if something is damaged. What --repair cannot restore, the next `tisslm run` makes again.
    """
    from dataclasses import asdict

    from model.errors import IntegrityError, WorkspaceError
    from tasks.repair import repair_data
    from tasks.verification import verify_data
    from tasks.workspace import find_workspace

    root = find_workspace()
    findings = verify_data(root)
    if all(finding.state == "missing" for finding in findings):
        raise WorkspaceError(f"{root / 'data'}: holds no finished folder yet; run `tisslm run`")
    damaged = [finding for finding in findings if finding.state in ("damaged", "missing")]
    if repair:
        repair_data(root, damaged, lambda line: print(line, file=sys.stderr if as_json else sys.stdout))
        findings = verify_data(root) if damaged else findings
        damaged = []
    rows = [{key: value for key, value in asdict(finding).items() if value} for finding in findings]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)
    if damaged:
        raise IntegrityError(damaged[0].problem)


def report(
    show: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
) -> None:
    """Print where the HTML report is; it opens without a network."""
    from flows.results import html_report
    from model.errors import WorkspaceError
    from tasks.workspace import find_workspace

    root = find_workspace()
    page = html_report(root)
    if page is None:
        raise WorkspaceError(f"{root / 'data/reports'}: holds no HTML report yet; run `tisslm run`")
    print(page)
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
