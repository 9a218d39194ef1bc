"""Reads a YAML text that people write: keys twice and slips in the syntax are refused with their line.

PyYAML takes the last of two equal keys without a word. Where each value stands is kept for messages about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from model.errors import ConfigError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Names = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a value stands.

    Attributes:
        line: Counted from 1.
        written: The value as it was written, of a section nothing.
    """

    line: int
    written: str = ""


def read_yaml(text: str, where: str) -> tuple[Any, dict[Names, Place]]:
    """The values of a YAML text, and where each stands by its names: `("clean", "filters", "0", "filter")`.

    Raises:
        ConfigError: It is not YAML, or a section has a key twice; the message says the line.
    """
    try:
        node = yaml.compose(text, Loader=LOADER)
        places: dict[Names, Place] = {}
        if node is not None:
            _visit(node, (), places, where)
        return yaml.load(text, Loader=LOADER), places  # noqa: S506  (the safe loader, in C)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        said = " ".join(str(error.problem or error.context).split())
        advice = "indent with spaces, not tabs" if mark and _tab_at(text, mark.line) else "correct the line"
        raise ConfigError(f"{where}: {at}not valid YAML: {said}; {advice}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # of a date or a number that does not exist
        raise ConfigError(f"{where}: not valid YAML: {' '.join(str(error).split())[:200]}") from error


def _tab_at(text: str, line: int) -> bool:
    lines = text.splitlines()
    return any("\t" in lines[i] for i in (line - 1, line) if 0 <= i < len(lines))


def _visit(node: Node, names: Names, places: dict[Names, Place], where: str) -> None:
    if names in places:
        return  # an anchor that holds itself
    written = node.value if isinstance(node, ScalarNode) else ""
    places[names] = Place(node.start_mark.line + 1, written)
    if isinstance(node, SequenceNode):
        for index, inner in enumerate(node.value):
            _visit(inner, (*names, str(index)), places, where)
    if not isinstance(node, MappingNode):
        return
    lines: dict[tuple[str, str], int] = {}
    for key, inner in node.value:
        if isinstance(key, ScalarNode):
            line, name = key.start_mark.line + 1, (*names, key.value)
            if (before := lines.setdefault((key.tag, key.value), line)) != line or name in places:
                raise ConfigError(
                    f"{where}: line {line}: {'.'.join(name)} stands there a second time (the first is in line "
                    f"{before}); remove one of the two"
                )
            _visit(inner, name, places, where)
            if not isinstance(inner, ScalarNode) or not inner.value:
                places[name] = Place(line, places[name].written)
