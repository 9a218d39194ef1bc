"""Suites of expectations as they stand in their YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import ConfigError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Expectation:
    """One line of a suite.

    Attributes:
        type: Name in Great Expectations: `expect_column_values_to_be_between`.
        kwargs: Its arguments.
        because: Why it must hold, for people.
    """

    type: str
    kwargs: Mapping[str, Any]
    because: str

    @property
    def columns(self) -> list[str]:
        """The columns of the facts table that it looks at."""
        return [str(v) for k, v in self.kwargs.items() if k in {"column", "column_A", "column_B"}]


def read_suite(name: str, settings: Mapping[str, Any] | None = None, folder: Path = FOLDER) -> list[Expectation]:
    """The expectations of a suite that apply under these settings.

    Args:
        name: The file's name without ending: `raw`.
        settings: Values for `$name` and for `when`, by dotted name.
        folder: Where the suites lie.

    Raises:
        ConfigError: The file is missing or not a suite; the message names the entry.
    """
    path = folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such suite of expectations") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    entries = content.get("expectations") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: expected a list `expectations:` with at least one entry")
    known = settings or {}
    parsed = [_parse(entry, known, f"{path}: expectation {i}") for i, entry in enumerate(entries, 1)]
    return [expectation for expectation in parsed if expectation is not None]


def _parse(entry: Any, settings: Mapping[str, Any], where: str) -> Expectation | None:
    keys = {"type", "kwargs", "because", "when"}
    if not isinstance(entry, dict) or not {"type", "kwargs", "because"} <= set(entry) <= keys:
        raise ConfigError(f"{where}: expected the keys type, kwargs, because and perhaps when, got {_keys(entry)}")
    if not isinstance(entry["kwargs"], dict) or not isinstance(entry.get("when", {}), dict):
        raise ConfigError(f"{where}: kwargs and when take `name: value`, got {entry['kwargs']!r}")
    conditions = entry.get("when", {})
    for name in [*conditions, *(v[1:] for v in entry["kwargs"].values() if _is_reference(v))]:
        if name not in settings:
            raise ConfigError(f"{where}: no setting {name!r} in this stage; it has {', '.join(settings) or 'none'}")
    if any(settings[name] not in (value if isinstance(value, list) else [value]) for name, value in conditions.items()):
        return None
    kwargs = {k: settings[v[1:]] if _is_reference(v) else v for k, v in entry["kwargs"].items()}
    return Expectation(str(entry["type"]), kwargs, " ".join(str(entry["because"]).split()))


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value[:1] == "$" and value[1:].replace(".", "_").isidentifier()


def _keys(entry: Any) -> str:
    return ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
