"""`tisslm models`: the registry."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import completion
from cli.registered import registered_name
from cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from tasks.registry import ModelVersion

models = typer.Typer(
    help="Look at registered models, and choose the champion.", no_args_is_help=True, rich_markup_mode=None
)
LONGEST_SHOWN = 200
Reference = Annotated[str, typer.Argument(help="an alias or a version number", autocompletion=completion.versions)]
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]

PROMOTE_EXAMPLES = """\b
Examples:
  tisslm models promote 3
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(models, name="models")


@models.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """List all versions, oldest first, with their test results and aliases."""
    from tasks.registry import list_versions

    root, name = registered_name()
    rows = [_row(version) for version in list_versions(root, name)]
    if as_json:
        print_json(rows)
    elif rows:
        shown, note = marked(rows)
        print_rows(shown, name)
        if note:
            print(note)
    else:
        print(f"{name}: no version yet; `tisslm run` trains and publishes one")


@models.command()
def show(
    reference: Annotated[
        str, typer.Argument(help="an alias or a version number", autocompletion=completion.versions)
    ] = "champion",
    as_json: AsJson = False,
) -> None:
    """Show everything recorded about one version; its files are checked and their folder printed."""
    from tasks.registry import resolve

    root, name = registered_name()
    found = resolve(root, name, reference)
    facts = {"name": name, "version": found.version, "folder": str(found.folder), **dict(sorted(found.tags.items()))}
    if as_json:
        print_json(facts)
        return
    short = {key: str(value) for key, value in facts.items() if len(str(value)) <= LONGEST_SHOWN}
    print_rows([{"fact": key, "value": value} for key, value in short.items()])
    if len(short) < len(facts):
        print(f"--json also has: {', '.join(key for key in facts if key not in short)}")


@models.command(epilog=PROMOTE_EXAMPLES)
def promote(
    reference: Reference,
) -> None:
    """Make a version the champion by hand; it must pass the gate publish.max_bits_per_byte and verify."""
    from tasks.params import read_params
    from tasks.registry import promote as promote_version

    root, name = registered_name()
    gate = read_params(root / "params.yaml").publish.max_bits_per_byte
    version = promote_version(root, name, reference, gate)
    print(f"{name}: version {version.version} is champion (`tisslm models rollback` goes back)")


@models.command()
def rollback() -> None:
    """Make the champion before this one champion again; a second rollback undoes the first."""
    from tasks.registry import rollback as roll_back

    root, name = registered_name()
    print(f"{name}: version {roll_back(root, name).version} is champion again")


def _row(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "bits_per_byte": version.bits_per_byte,
        "test_set": version.tags.get("judged_on", "")[:8],
        "registered": datetime.fromtimestamp(version.created_ms / 1000).astimezone().isoformat(" ", "seconds"),
        "identity": version.identity[:12],
        "run": version.run_id,
    }


def marked(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Rows for people and a line below them: a figure says its test set as soon as there is more than one."""
    if len({row["test_set"] for row in rows}) < 2:
        return rows, ""
    told = [
        {
            key: f"{value} on {row['test_set'] or 'an unknown set'}" if key == "bits_per_byte" and value else value
            for key, value in row.items()
            if key != "test_set"
        }
        for row in rows
    ]
    return told, "figures on different test sets do not compare; `tisslm run` compares a new model on texts new to both"
