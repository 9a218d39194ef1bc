"""Named settings: each file in `flows/presets/` states only its differences from the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from model.errors import ConfigError

Preset = Literal["smoke", "laptop", "hours", "gpu"]
PRESETS: tuple[str, ...] = get_args(Preset)
FOLDER = Path(__file__).parent / "presets"


def read_preset(name: str) -> dict[str, Any]:
    """The sections of a preset.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name}: no such preset; choose one of {', '.join(PRESETS)}")
    return yaml.safe_load(_text(name)) or {}


def describe_preset(name: str) -> str:
    """The comment at the head of a preset's file, as one line."""
    lines = [line.lstrip("# ").rstrip() for line in _text(name).splitlines() if line.startswith("#")]
    return " ".join(lines)


def all_presets() -> list[dict[str, Any]]:
    """The sections of every preset."""
    return [read_preset(name) for name in PRESETS]


def _text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
