"""`--quiet`: no progress and no remarks, only results and errors."""

from __future__ import annotations

import os

QUIET = "TISSLM_QUIET"


def is_quiet() -> bool:
    """Whether `--quiet` was given, or the environment asks for it."""
    return os.environ.get(QUIET, "") not in {"", "0"}
