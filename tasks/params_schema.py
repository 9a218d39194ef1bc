"""The JSON schema of `params.yaml`, for editors, and the unit and meaning of every key, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from model.configuration import fields_by_key
from tasks.params import Params, models_in

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class KeyNote:
    """What a key means, and the unit of its value (empty if it has none)."""

    unit: str
    meaning: str


def schema_text() -> str:
    """The content of `params.schema.json`."""
    schema = {"$schema": DRAFT, **Params.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def describe_keys() -> dict[str, KeyNote]:
    """Unit and meaning of every key by its dotted name."""
    notes: dict[str, KeyNote] = {}
    _collect(Params, "", notes)
    return notes


def note_of(key: str, notes: Mapping[str, KeyNote]) -> KeyNote:
    """The note of a key, or of the nearest key above it that has one (entries of a mapping have none of their own)."""
    while key and not (key in notes and notes[key].meaning):
        key = key.rpartition(".")[0]
    return notes.get(key, KeyNote("", ""))


def _collect(config: type[BaseModel], prefix: str, notes: dict[str, KeyNote]) -> None:
    for name, field in fields_by_key(config).items():
        kind: Any = field.annotation
        for config_of_kind in models_in(kind).values():  # one, or the kinds of a union
            _collect(config_of_kind, f"{prefix}{name}.", notes)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            continue
        extra = field.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        notes.setdefault(f"{prefix}{name}", KeyNote(unit, field.description or ""))
