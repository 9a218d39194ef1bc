"""`tisslm verify` and `tisslm report`: what is under data/."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.tables import print_json, print_rows


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(verify)
    app.command()(report)


def verify(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Check every byte under data/ against its MANIFEST.json.

    Exit code 7 if something is damaged.
    """
    from model.errors import IntegrityError, WorkspaceError
    from model.files import MANIFEST, TEMPORARY_MARK, verify_manifest
    from tasks.workspace import find_workspace

    root = find_workspace()
    folders = sorted(path.parent for path in (root / "data").rglob(MANIFEST) if TEMPORARY_MARK not in str(path))
    if not folders:
        raise WorkspaceError(f"{root / 'data'}: holds no finished folder yet; run `tisslm run`")
    rows: list[dict[str, str]] = []
    first: IntegrityError | None = None
    for folder in folders:
        row = {"folder": folder.relative_to(root).as_posix()}
        try:
            row |= {"state": "whole", "digest": verify_manifest(folder)[:12]}
        except IntegrityError as error:
            first = first or error
            row |= {"state": "damaged", "problem": str(error)}
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)
    if first is not None:
        raise first


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
