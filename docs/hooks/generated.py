"""Pages that are written from the code when the site is built, so that they cannot drift from it.

A page holds a marker such as `<!-- params -->`; what stands there in the built site comes from the config classes,
the error classes, the settings, the command line, or the packages themselves.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def params_tables() -> str:
    """One section for every stage: name, default, range, unit and meaning of each parameter."""
    from tasks.params import Params

    schema = Params.model_json_schema()
    parts = []
    for stage, reference in schema["properties"].items():
        definition = schema["$defs"][_target(reference)]
        parts += [f"## {stage}", definition.get("description", ""), _table(schema, definition, stage)]
        parts += _named_objects(schema, definition)
    return "\n\n".join(parts)


def _target(field: dict[str, Any]) -> str:
    found = field.get("$ref") or next((o["$ref"] for o in field.get("allOf", []) if "$ref" in o), "")
    return str(found).rpartition("/")[2]


def _table(schema: dict[str, Any], definition: dict[str, Any], prefix: str) -> str:
    rows = ["| parameter | default | allowed | unit | meaning |", "|---|---|---|---|---|"]
    rows += _rows(schema, definition, prefix)
    return "\n".join(rows)


def _rows(schema: dict[str, Any], definition: dict[str, Any], prefix: str) -> list[str]:
    rows = []
    for name, field in definition.get("properties", {}).items():
        inner = schema["$defs"].get(_target(field), {})
        if "properties" in inner:
            rows += _rows(schema, inner, f"{prefix}.{name}")
            continue
        default = _code(field["default"]) if "default" in field else ""
        cells = [
            f"`{prefix}.{name}`",
            default,
            _allowed(schema, field),
            field.get("unit", ""),
            field.get("description", ""),
        ]
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return rows


def _code(value: Any) -> str:
    if value is None:
        return "empty"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"`{text}`" if text else "empty"


def _allowed(schema: dict[str, Any], field: dict[str, Any]) -> str:
    return " or ".join(dict.fromkeys(filter(None, (_one_kind(schema, option) for option in _options(field)))))


def _one_kind(schema: dict[str, Any], option: dict[str, Any]) -> str:
    if "$ref" in option:
        return f"[{_target(option)}](#{_target(option).lower()})"
    if "enum" in option:
        return ", ".join(_code(value) for value in option["enum"])
    if "const" in option:
        return _code(option["const"])
    if option.get("type") == "array":
        return f"list of {_allowed(schema, option.get('items', {})) or 'values'}"
    if option.get("type") == "null":
        return "empty"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = " and ".join(f"{sign} {option[key]}" for key, sign in bounds.items() if key in option)
    kind = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    return " ".join(filter(None, [kind.get(str(option.get("type")), ""), limits]))


def _named_objects(schema: dict[str, Any], definition: dict[str, Any]) -> list[str]:
    """Sections for the objects that a stage's lists and choices hold, such as the kinds of source."""
    parts: list[str] = []
    for field in definition.get("properties", {}).values():
        for option in [*field.get("anyOf", []), *_options(field.get("items", {}))]:
            inner = schema["$defs"].get(_target(option), {})
            if "properties" in inner:
                parts += [f"### {_target(option)}", inner.get("description", ""), _table(schema, inner, "")]
                parts += _named_objects(schema, inner)
    return parts


def _options(field: dict[str, Any]) -> list[dict[str, Any]]:
    return field.get("anyOf") or field.get("oneOf") or [field]


def exit_codes() -> str:
    """Every kind of error with its exit code, from `model/errors.py`."""
    from model import errors

    kinds = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TissLMError)]
    rows = ["| exit code | error | what it means | tried again by itself |", "|---|---|---|---|"]
    for kind in sorted(kinds, key=lambda c: c.exit_code):
        meaning = (inspect.getdoc(kind) or "").splitlines()[0]
        rows.append(f"| {kind.exit_code} | `{kind.__name__}` | {meaning} | {'yes' if kind.transient else 'no'} |")
    return "\n".join(rows)


def settings_table() -> str:
    """Every `TISSLM_*` variable, from `tasks/settings.py`."""
    from tasks.settings import Settings

    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "as many as there are cores" if name == "threads" else _code(field.get_default())
        rows.append(f"| `TISSLM_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def command_line() -> str:
    """Every command of `tisslm` with its help, as the terminal shows it."""
    os.environ.update({"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"})
    import typer

    from cli.main import app

    return "\n\n".join(_commands(typer.main.get_command(app), "tisslm"))


def _commands(command: Any, name: str) -> list[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record:
            rows.append("| " + " | ".join([f"`{record[0]}`", " ".join(record[1].split()).replace("|", "\\|")]) + " |")
    parts = [f"{'##' if name.count(' ') < 2 else '###'} {name}", *_paragraphs(command.help)]
    if rows:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    parts += _paragraphs(command.epilog)
    for child in getattr(command, "commands", {}).values():
        if not child.hidden:
            parts += _commands(child, f"{name} {child.name}")
    return parts


def _paragraphs(text: str | None) -> list[str]:
    """Help text as Markdown: what the terminal must not wrap (Click marks it) becomes a block of code."""
    parts = []
    for part in inspect.cleandoc(text or "").split("\n\n"):
        head, _, rest = part.partition("\n")
        parts.append(f"```\n{rest}\n```" if head.strip() == "\b" else part)
    return parts


def api(package: str) -> str:
    """A mkdocstrings entry for every module of a package that has public names."""
    parts = []
    for path in sorted((ROOT / package).rglob("*.py")):
        module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        if not path.stem.startswith("_"):
            parts.append(f"## {module}\n\n::: {module}\n    options:\n      show_root_heading: false")
    return "\n\n".join(parts)


GENERATED: dict[str, Callable[[], str]] = {
    "<!-- params -->": params_tables,
    "<!-- exit-codes -->": exit_codes,
    "<!-- settings -->": settings_table,
    "<!-- command-line -->": command_line,
    "<!-- api model -->": lambda: api("model"),
    "<!-- api tasks -->": lambda: api("tasks"),
    "<!-- api flows -->": lambda: api("flows"),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace a page's markers (called by mkdocs for every page)."""
    for marker, write in GENERATED.items():
        if marker in markdown:
            markdown = markdown.replace(marker, write())
    return markdown
