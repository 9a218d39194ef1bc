"""Print params.yaml: every default of the pipeline, each with what it means and its unit, made from the config classes.

    python infra/params_file.py > params.yaml.new && mv params.yaml.new params.yaml

A test holds the file and the classes together. Changing a default means changing the class and running this.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml
from pydantic import BaseModel

from tasks.params import Params

WIDTH = 120
HEADER = """\
# yaml-language-server: $schema=params.schema.json
# What a run is: one section for each stage of dvc.yaml. Nothing here says where or how it runs (docs: settings).
# Every value is checked; a wrong one is refused with its range. `tisslm run --set section.key=value` edits this file.
# These are the values of the preset `laptop`: two cores, some 12 minutes. Made by infra/params_file.py.
"""
BESIDE = {
    "ingest.sources.0.package": "State of the Union addresses 1790-2026, public domain, a dependency of TissLM",
    "ingest.sources.0.metadata": "a table of facts about each text, joined by file name",
}
SECTIONS = {
    "ingest": "Which texts. Your own: sources: [{path: my-texts/}] (text, html, jsonl, csv, parquet, mail, archives)",
    "clean": "Repairs, filters, personal data, duplicates, and the split by document",
    "tokenizer": "The vocabulary, learned from the training split",
    "tokenize": "Memory-mapped shards of token ids",
    "datasheet": "The dataset's documentation, in the questions of Gebru et al. 2021",
    "pretrain": "The network and its training",
    "evaluate": "Bits per byte on the test split, beside compressors primed on the same training text",
    "quantize": "int8 weights and the gate that they must pass",
    "publish": "The registry and the gates of a champion",
}
LEFT_OUT = {"pretrain.model.vocab_size", "ingest.sources.0.name"}


def section_lines(name: str, config: BaseModel) -> list[str]:
    """One section of the file, after a blank line and a line that says what it is about."""
    about = SECTIONS.get(name) or (type(config).__doc__ or "").split("\n")[0].rstrip(".")
    return ["", f"# {about}", f"{name}:", *config_lines(config, 2, name)]


def config_lines(config: BaseModel, indent: int, path: str) -> list[str]:
    """The values of a config, a line each, with what they mean."""
    lines: list[str] = []
    for name, field in type(config).model_fields.items():
        if f"{path}.{name}" in LEFT_OUT:
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        comment = (field.description or "") + (f" [{extra['unit']}]" if "unit" in extra else "")
        key = field.alias or name
        lines += value_lines(key, getattr(config, name), comment, indent, f"{path}.{key}")
    return lines


def value_lines(name: str, value: Any, comment: str, indent: int, path: str) -> list[str]:
    """One value with its comment: behind it, or above it where the line would be too long."""
    space = " " * indent
    if isinstance(value, BaseModel):
        return [*commented(f"{space}{name}:", comment, space), *config_lines(value, indent + 2, path)]
    if isinstance(value, tuple) and value and all(isinstance(item, BaseModel) for item in value):
        lines = commented(f"{space}{name}:", comment, space)
        for number, item in enumerate(value):
            lines += item_lines(item.model_dump(mode="json", exclude_unset=True), indent + 2, f"{path}.{number}")
        return lines
    if isinstance(value, tuple) and any(isinstance(item, str) and " " in item for item in value):
        texts = [f"{space}  - {json.dumps(item, ensure_ascii=False)}" for item in value]
        return [*commented(f"{space}{name}:", comment, space), *texts]
    return commented(f"{space}{name}: {scalar(value)}", comment, space)


def item_lines(values: dict[str, Any], indent: int, path: str) -> list[str]:
    """A mapping in a list: what was set, nothing of the rest."""
    lines: list[str] = []
    for name, value in values.items():
        if f"{path}.{name}" in LEFT_OUT:
            continue
        space = " " * (indent + 2)
        beside = BESIDE.get(f"{path}.{name}", "")
        if isinstance(value, dict):
            lines += [*commented(f"{space}{name}:", beside, space)]
            lines += [f"{space}  {key}: {scalar(inner)}" for key, inner in value.items() if inner is not None]
        else:
            lines += commented(f"{space}{name}: {scalar(value)}", beside, space)
    lines[0] = f"{' ' * indent}- {lines[0].lstrip()}"
    return lines


def commented(line: str, comment: str, space: str) -> list[str]:
    """A line with its comment."""
    if not comment:
        return [line]
    whole = f"{line} # {comment}"
    if len(whole) <= WIDTH:
        return [whole]
    return [*wrapped(comment, f"{space}# "), line]


def wrapped(text: str, begin: str) -> list[str]:
    """A long comment on several lines."""
    lines, line = [], begin.rstrip()
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = begin.rstrip()
        line += f" {word}"
    return [*lines, line]


def scalar(value: Any) -> str:
    """A value in YAML on one line."""
    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def main() -> None:
    """Print the file."""
    params = Params()
    lines = [line for name in type(params).model_fields for line in section_lines(name, getattr(params, name))]
    sys.stdout.write(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
