"""`python -m tasks STAGE`: run one stage in the current folder. This is what `dvc.yaml` calls."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

from model.errors import TissLMError, said_by
from model.files import as_storage_error
from tasks.settings import TELEMETRY_OFF, read_settings


def main() -> int:
    """Run the stage, print its headline or its one-line error, and return the exit code."""
    for key, value in TELEMETRY_OFF.items():
        os.environ.setdefault(key, value)
    parser = argparse.ArgumentParser(prog="python -m tasks", description=__doc__)
    parser.add_argument("stage", help="a stage of dvc.yaml, e.g. clean")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    from tasks.logs import close_logs, configure_logs
    from tasks.stage import run_stage

    try:
        try:
            configure_logs(read_settings(), Path())
            report = run_stage(arguments.stage)
        except OSError as error:  # a full disk or a read-only folder may show anywhere
            named = as_storage_error(error)
            if named is None:
                raise
            raise named from error
    except KeyboardInterrupt:
        close_logs()
        print(f"tisslm: {arguments.stage}: stopped; the same command goes on from what is finished", file=sys.stderr)
        return 130
    except TissLMError as error:
        close_logs()
        if arguments.debug:
            traceback.print_exc()
        print(f"tisslm: {said_by(arguments.stage, str(error))}", file=sys.stderr)
        _leave_error(arguments.stage, error)
        return error.exit_code
    close_logs()
    print(f"{arguments.stage}: {report.headline}")
    return 0


def _leave_error(stage: str, error: TissLMError) -> None:
    try:
        target = read_settings().error_file
    except TissLMError:
        return
    if target:
        record = {"stage": stage, "type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
        with contextlib.suppress(OSError):  # on a full disk the line on standard error has to do
            Path(target).write_text(json.dumps(record | {"transient": error.transient}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
