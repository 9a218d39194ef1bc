"""Edits `params.yaml` in place, comments kept, so that `dvc repro`, `git diff` and `dvc params diff` see one truth.

`tisslm run --set section.key=value` and `--preset` both come here, as `dvc exp run -S` does in DVC. The whole result
is validated before a byte is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from model.errors import ConfigError
from model.files import write_text
from tasks.params import Params, flatten, parse_params, read_params_text, sections_in
from tasks.yaml_edit import NotASectionError, flow, set_value

MISSING = object()


@dataclass(frozen=True)
class Change:
    """One value that an edit changed; `before` is None where the file did not state the key."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """`pretrain.steps 1200 -> 300`."""
        return f"{self.key} {_shown(self.before)} -> {_shown(self.after)}"


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`["pretrain.steps=300", ...]` as dotted names and typed values (YAML 1.2: numbers, true, null, [..], {..}).

    Raises:
        ConfigError: An assignment has no `=`, no dotted name, or a value that is not YAML.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set {assignment}: expected section.key=value, like --set pretrain.steps=300")
        try:
            values[key] = YAML(typ="safe", pure=True).load(text)
        except YAMLError as error:
            raise ConfigError(f"--set {key}: {text!r} is not a YAML value ({_first_line(error)}); quote it") from error
    return values


def edit_params(
    path: Path,
    overrides: Mapping[str, Any],
    preset: Mapping[str, Any] | None = None,
    presets: Iterable[Mapping[str, Any]] = (),
) -> list[Change]:
    """Apply a preset, then overrides, to a params file and return what changed (nothing is written if nothing did).

    Args:
        path: The params file.
        preset: Sections of differences. Every key that any of `presets` names first goes back to the default of its
            config class, so that presets never pile up.
        presets: The sections of all presets.
        overrides: New values by dotted name; they win over the preset.

    Raises:
        ConfigError: The file, a key or a value is wrong; the file is untouched.
    """
    before = flatten(read_params_text(path)[0])
    text = path.read_text(encoding="utf-8")
    wanted: dict[str, Any] = {}
    if preset is not None:
        defaults = Params().flat()
        named = dict.fromkeys(key for sections in (*presets, preset) for key in flatten(sections))
        wanted = {key: defaults[key] for key in named if key in defaults and key in before}
        wanted |= flatten(preset)
    wanted |= overrides
    for key, value in wanted.items():
        if before.get(key, MISSING) != value or type(before[key]) is not type(value):
            text = _set(text, key, value)
    where = f"{path.name} with {_origin(preset, overrides)}" if wanted else path.name
    after = flatten(parsed(text, path, where))
    changes = _differences(before, after)
    if changes:
        write_text(path, text)
    return changes


def parsed(text: str, path: Path, where: str) -> dict[str, Any]:
    """The sections in an edited text.

    Raises:
        ConfigError: A value is wrong, or the file is written in a way that cannot be edited in place.
    """
    try:
        sections, _ = sections_in(text, where)
    except ConfigError as error:
        raise ConfigError(f"{path}: cannot be edited in place ({error}); edit it by hand") from error
    parse_params(sections, where)
    return sections


def _origin(preset: Mapping[str, Any] | None, overrides: Mapping[str, Any]) -> str:
    parts = ["the preset"] if preset is not None else []
    return " and ".join([*parts, *(f"--set {key}" for key in overrides)][:4])


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    keys = dict.fromkeys([*before, *after])
    return [Change(k, before.get(k), after.get(k)) for k in keys if before.get(k, MISSING) != after.get(k, MISSING)]


def _shown(value: Any) -> str:
    text = flow(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _set(text: str, key: str, value: Any) -> str:
    names = key.split(".")
    try:
        return set_value(text, names, value)
    except NotASectionError as error:
        parent = ".".join(names[: error.depth])
        raise ConfigError(f"--set {key}: {parent} is one value, not a section with keys of its own") from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
