"""`tisslm init`, `tisslm version` and `tisslm exit-codes`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.tables import print_json

SHOWN_LIBRARIES = ("torch", "prefect", "dvc", "mlflow", "transformers", "tokenizers", "great-expectations")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(init)
    app.command()(version)
    app.command(name="exit-codes")(exit_codes)


def init() -> None:
    """Prepare a folder that has dvc.yaml and params.yaml but no .dvc."""
    from tasks.workspace import find_workspace, initialise_workspace, prepare_workspace

    root = find_workspace()
    made = initialise_workspace(root)
    prepare_workspace(root, print)
    print(f"{root}: {'initialised' if made else 'was initialised already'}; next: tisslm run")


def version(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Print the versions of TissLM and its main libraries."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    versions = {"python": platform.python_version()}
    for name in ("tisslm", *SHOWN_LIBRARIES):
        try:
            versions[name] = installed(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    if as_json:
        print_json(versions)
    else:
        print("\n".join(f"{name} {number}" for name, number in versions.items()))


def exit_codes(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """List what the exit codes mean."""
    from cli.exit_codes import exit_codes as table

    if as_json:
        print_json({str(code): meaning for code, meaning in table().items()})
    else:
        print("\n".join(f"{code:>3}  {meaning}" for code, meaning in table().items()))
