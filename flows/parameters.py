"""JSON schemas of the flow's parameters, so that the API refuses a wrong one before a run exists."""

from __future__ import annotations

from typing import Any

from tasks.params import Params

SCHEMA_NOTES = ("title", "default")


def stage_schema() -> dict[str, Any]:
    """The names of stages."""
    return {"type": "string", "enum": list(Params.model_fields)}


def overrides_schema() -> dict[str, Any]:
    """Every dotted name of `params.yaml` with the type and range of its value; no other name is allowed."""
    schema = Params.model_json_schema()
    definitions = schema.get("$defs", {})
    properties: dict[str, Any] = {}
    for name, section in schema["properties"].items():
        _collect(name, section, definitions, properties)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _collect(name: str, schema: dict[str, Any], definitions: dict[str, Any], found: dict[str, Any]) -> None:
    whole = _inlined(schema, definitions)
    if whole.get("type") == "object" and "properties" in whole:
        for key, inner in whole["properties"].items():
            _collect(f"{name}.{key}", inner, definitions, found)
    elif "oneOf" in whole:  # a choice of configs: each key takes what any of them takes
        for member in whole["oneOf"]:
            for key, inner in member["properties"].items():
                known = found.setdefault(f"{name}.{key}", {"anyOf": []})
                known["anyOf"] += [] if inner in known["anyOf"] else [inner]
    else:
        found[name] = whole


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, titles and defaults."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _inlined({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    properties = schema.get("properties")
    plain = {k: _inlined(v, definitions) for k, v in schema.items() if k not in {*SCHEMA_NOTES, "properties"}}
    plain.pop("discriminator", None)
    if isinstance(properties, dict):
        plain["properties"] = {k: _inlined(v, definitions) for k, v in properties.items()}
    return plain
