"""Sets one value in a YAML text and leaves every other byte as it is: comments, order, spacing, quotes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, SequenceNode


class NotASectionError(ValueError):
    """A key was to be set inside something that is one value; `depth` says how many names lead to it."""

    def __init__(self, depth: int) -> None:
        super().__init__(f"no section after {depth} names")
        self.depth = depth


def set_value(text: str, names: Sequence[str], value: Any) -> str:
    """The text with the value at `names` replaced, or added right below its section's name.

    The new value stands on one line. Comment lines stay; of a replaced block of lines only the comments inside go.

    Raises:
        NotASectionError: One of the names before the last holds one value.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None or not isinstance(node, MappingNode):
        return f"{text.rstrip()}\n{_block(names, value, 0)}".lstrip("\n")
    parent_key: Node | None = None
    for depth, name in enumerate(names):
        found = _find(node, name)
        if found is None:
            return _added(text, node, parent_key, names[depth:], value)
        parent_key, inner = found
        if depth == len(names) - 1:
            return _replaced(text, parent_key, inner, value)
        if not isinstance(inner, MappingNode):
            if _text_of(text, inner).strip().lower() not in {"", "~", "null"}:
                raise NotASectionError(depth + 1)
            return _replaced(text, parent_key, inner, _nested(names[depth + 1 :], value))
        node = inner
    return text


def flow(value: Any) -> str:
    """A value as YAML on one line, spelled so that YAML 1.1 and 1.2 read the same."""
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return dumped.removesuffix("...\n").strip()


def _find(node: MappingNode, name: str) -> tuple[Node, Node] | None:
    return next(((key, inner) for key, inner in node.value if key.value == name), None)


def _text_of(text: str, node: Node) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _nested(names: Sequence[str], value: Any) -> Any:
    for name in reversed(names):
        value = {name: value}
    return value


def _replaced(text: str, key: Node, old: Node, value: Any) -> str:
    if not (isinstance(old, CollectionNode) and not old.flow_style):
        start, end = old.start_mark.index, old.end_mark.index
        space = "" if text[start - 1].isspace() else " "
        return text[:start] + space + flow(value) + text[end:]
    colon = text.index(":", key.end_mark.index) + 1
    line_end = _line_end(text, colon)
    return text[:colon] + f" {flow(value)}" + text[colon:line_end] + text[_line_end(text, _last_index(old)) :]


def _last_index(node: Node) -> int:
    """Where a node's own text ends: a block's end mark lies behind the comments that follow it."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return _last_index(node.value[-1][1])
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _last_index(node.value[-1])
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end


def _added(text: str, section: MappingNode, section_key: Node | None, names: Sequence[str], value: Any) -> str:
    if section_key is None:
        return f"{text.rstrip()}\n{_block(names, value, section.start_mark.column)}"
    if section.flow_style:
        inside = yaml.safe_load(_text_of(text, section))
        return _replaced(text, section_key, section, {**inside, **_nested(names, value)})
    below = _line_end(text, section_key.end_mark.index) + 1
    return text[:below] + _block(names, value, section.value[0][0].start_mark.column) + text[below:]


def _block(names: Sequence[str], value: Any, column: int) -> str:
    *sections, last = names
    lines = [f"{' ' * (column + 2 * depth)}{name}:" for depth, name in enumerate(sections)]
    return "\n".join([*lines, f"{' ' * (column + 2 * len(sections))}{last}: {flow(value)}"]) + "\n"
