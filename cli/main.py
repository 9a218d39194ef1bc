"""The command `tisslm`: one module per group of commands; heavy libraries are imported inside the commands."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

import cli.artifacts
import cli.corpus
import cli.generate
import cli.model
import cli.models
import cli.params
import cli.run
import cli.servers
import cli.tokenizer
import cli.tracking
import cli.workspace
from cli.exit_codes import UNEXPECTED, summary
from cli.quiet import QUIET
from model.errors import TissLMError
from model.files import as_storage_error

app = typer.Typer(
    name="tisslm",
    help="Turn a corpus into a trained, evaluated, quantized, registered language model.\n\n"
    "\b\nBegin with:\n"
    "  tisslm run --preset smoke      every stage for real, in under two minutes\n"
    "  tisslm run                     what params.yaml says\n"
    '  tisslm generate "The state of the Union is"\n',
    epilog=summary(),
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (
    cli.run,
    cli.params,
    cli.generate,
    cli.model,
    cli.models,
    cli.artifacts,
    cli.corpus,
    cli.tokenizer,
    cli.tracking,
    cli.servers,
    cli.workspace,
):
    group.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"tisslm {version('tisslm')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Options of `tisslm` itself; the help of the command stands in `app`."""


def main() -> None:
    """Run the command line; every mistake of a user is one line on standard error and a documented exit code."""
    debug = _take(sys.argv, "--debug", "TISSLM_DEBUG")
    if _take(sys.argv, "--quiet", QUIET):
        os.environ[QUIET] = "1"  # also for the processes that a run starts
    try:
        _named_errors()
    except TissLMError as error:
        if debug:
            traceback.print_exc()
        print(f"tisslm: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001  (the last resort: one line, never silence)
        if debug:
            traceback.print_exc()
        message = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        print(f"tisslm: unexpected error: {message} (a defect; run again with --debug to see where)", file=sys.stderr)
        sys.exit(UNEXPECTED)


def _named_errors() -> None:
    try:
        app(prog_name="tisslm")
    except OSError as error:  # a full disk or a read-only folder may show anywhere
        named = as_storage_error(error)
        if named is None:
            raise
        raise named from error


def _take(arguments: list[str], option: str, variable: str) -> bool:
    """Whether an option stands anywhere before `--`; it is taken out, so that every command accepts it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    wanted = option in arguments[1:end]
    arguments[1:end] = [word for word in arguments[1:end] if word != option]
    return wanted or os.environ.get(variable, "") not in {"", "0"}


if __name__ == "__main__":
    main()
