"""The mistakes that TissLM can name, one class for each kind, each with a documented exit code.

Every message is one line: what, where, got X, expected Y, what to do. The command line prints the line and
exits with the class's code; `--debug` shows the traceback.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar


class TissLMError(Exception):
    """Root of every error that a user, not a developer, has to act on.

    `transient` says whether the same call may succeed later without anybody changing anything (a lock that is
    held, a server that is restarting); flows retry only those.
    """

    exit_code: ClassVar[int] = 1
    transient: ClassVar[bool] = False


def said_by(who: str, message: str) -> str:
    """A message with the name of the stage that says it in front, once: `clean: no documents left`."""
    return message if message.startswith(f"{who}: ") else f"{who}: {message}"


def install_extra(extra: str) -> str:
    """What installs one of our extras: TissLM is installed from its checkout, no registry has it by this name."""
    python, checkout = Path(sys.executable), Path(__file__).parents[1]
    shown = python.relative_to(checkout) if python.is_relative_to(checkout) else python
    return f"`{shown} -m pip install -c constraints.txt -e '.[{extra}]'` in the folder of TissLM"


class ConfigError(TissLMError):
    """`params.yaml`, a preset, an override or an environment setting is wrong."""

    exit_code = 2


class CorpusError(TissLMError):
    """The texts cannot be read, or nothing is left of them."""

    exit_code = 3


class TokenizerError(TissLMError):
    """The tokenizer cannot be trained, opened, or does not belong to these tokens."""

    exit_code = 4


class TrainingError(TissLMError):
    """Training cannot start or must stop (NaN loss, too little data)."""

    exit_code = 5


class CheckpointError(TissLMError):
    """A checkpoint is missing, incomplete, or does not fit the model."""

    exit_code = 6


class IntegrityError(TissLMError):
    """The bytes of an artifact are not those that its manifest promises."""

    exit_code = 7


class ExpectationError(TissLMError):
    """Data broke an expectation of its Great Expectations suite."""

    exit_code = 8


class RegistryError(TissLMError):
    """The model registry lacks what was asked for, or cannot be reached."""

    exit_code = 9


class WorkspaceError(TissLMError):
    """The folder is not a TissLM workspace, or it is not in a usable state."""

    exit_code = 10


class StorageError(TissLMError):
    """The disk is full, or a file cannot be written."""

    exit_code = 11


class GateError(TissLMError):
    """A result is complete but misses a gate set in `params.yaml`."""

    exit_code = 12


class EvaluationError(TissLMError):
    """A model cannot be judged on this data."""

    exit_code = 13


class GenerationError(TissLMError):
    """A generation request is out of bounds."""

    exit_code = 14


class BusyError(TissLMError):
    """Somebody else holds what this run needs; trying again later is enough."""

    exit_code = 15
    transient = True


class TrackingError(TissLMError):
    """The tracking server cannot be reached; nothing is lost, the journal keeps the records."""

    exit_code = 16
    transient = True
