"""What the exit codes mean, taken from the error classes."""

from __future__ import annotations

import inspect

import model.errors
from model.errors import TissLMError

UNEXPECTED = 70
STOPPED = 130


def exit_codes() -> dict[int, str]:
    """Every exit code with its meaning."""
    codes = {0: "Done.", 1: "A stage failed for a reason without a code of its own."}
    for _, kind in inspect.getmembers(model.errors, inspect.isclass):
        if issubclass(kind, TissLMError) and kind is not TissLMError:
            codes[kind.exit_code] = (inspect.getdoc(kind) or "").splitlines()[0]
    codes[UNEXPECTED] = "A defect of TissLM; run again with --debug."
    codes[STOPPED] = "Stopped by Ctrl-C or SIGTERM; run again to go on."
    return dict(sorted(codes.items()))


def summary() -> str:
    """All exit codes for the end of `tisslm --help`."""
    lines = [f"  {code:>3}  {meaning}" for code, meaning in exit_codes().items()]
    options = (
        "every command takes --debug, which shows the traceback of an error, and --quiet, which prints\n"
        "results and errors only"
    )
    return f"\b\nExit codes ({options}):\n" + "\n".join(lines)
