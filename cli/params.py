"""`tisslm params` and `tisslm presets`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import completion
from cli.tables import print_json, print_rows

params = typer.Typer(help="Look at params.yaml: what a run is.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]

PRESETS_EXAMPLES = """\b
Examples:
  tisslm run --preset smoke
  tisslm run --preset laptop     back to the defaults
"""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(params, name="params")
    app.command(epilog=PRESETS_EXAMPLES)(presets)


@params.command()
def show(
    prefix: Annotated[
        str, typer.Argument(help="only keys that begin with this, e.g. pretrain.model", autocompletion=completion.keys)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show every value with its unit and meaning, defaults included."""
    from model.errors import ConfigError
    from tasks.params import read_params
    from tasks.params_schema import describe_keys, note_of
    from tasks.workspace import find_workspace

    values = read_params(find_workspace() / "params.yaml").flat()
    chosen = {k: v for k, v in values.items() if k == prefix or k.startswith(f"{prefix}.") or not prefix}
    if not chosen:
        raise ConfigError(f"{prefix}: no parameter begins like this; `tisslm params show` lists all")
    if as_json:
        print_json(chosen)
        return
    told = describe_keys()
    notes = {key: note_of(key, told) for key in chosen}
    rows = [
        {"key": key, "value": str(value), "unit": notes[key].unit, "meaning": notes[key].meaning}
        for key, value in chosen.items()
    ]
    print_rows(rows)


@params.command()
def check(as_json: AsJson = False) -> None:
    """Check params.yaml; exit code 2 and one line if something is wrong."""
    from tasks.params import read_params
    from tasks.workspace import find_workspace

    found = read_params(find_workspace() / "params.yaml")
    if as_json:
        print_json({"valid": True, "digest": found.digest})
    else:
        print(f"params.yaml: valid, digest {found.digest[:12]}")


@params.command()
def schema(
    write: Annotated[bool, typer.Option("--write", help="write params.schema.json in the workspace")] = False,
) -> None:
    """Print the JSON schema of params.yaml, for editors that complete and check."""
    from model.files import write_text
    from tasks.params_schema import schema_text
    from tasks.workspace import find_workspace

    text = schema_text()
    if write:
        target = find_workspace() / "params.schema.json"
        write_text(target, text)
        print(f"wrote {target.name}")
    else:
        print(text, end="")


@params.command()
def diff(
    preset: Annotated[
        str, typer.Argument(help="compare with this preset", autocompletion=completion.presets)
    ] = "laptop",
    as_json: AsJson = False,
) -> None:
    """Show where params.yaml differs from a preset (from the defaults, which are `laptop`, if none is named)."""
    from flows.presets import read_preset
    from tasks.params import Params, flatten, read_params
    from tasks.workspace import find_workspace

    here = read_params(find_workspace() / "params.yaml").flat()
    there = Params().flat() | flatten(read_preset(preset))
    keys = [key for key in here | there if here.get(key) != there.get(key)]
    rows = [{"key": key, "params.yaml": here.get(key), preset: there.get(key)} for key in keys]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([{key: str(value) for key, value in row.items()} for row in rows])
    else:
        print(f"params.yaml equals the preset {preset}")


def presets(as_json: AsJson = False) -> None:
    """List the presets and what each changes."""
    from flows.presets import PRESETS, describe_preset, read_preset
    from tasks.params import flatten

    if as_json:
        print_json({name: {"meaning": describe_preset(name), "sets": flatten(read_preset(name))} for name in PRESETS})
        return
    for name in PRESETS:
        print(f"{name}: {describe_preset(name)}")
        for key, value in flatten(read_preset(name)).items():
            print(f"    {key}: {value}")
