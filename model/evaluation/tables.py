"""Rows as tables for people: numbers of a column with the same decimals, words to the left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_CELL = 300


@dataclass(frozen=True)
class Column:
    """One column, ready to print.

    Attributes:
        heading: Its name in words.
        numeric: Whether it is set to the right.
        cells: One text for each row.
    """

    heading: str
    numeric: bool
    cells: list[str]


def columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of rows, in order of appearance; a missing value is an empty cell."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    return [_column(name, [row.get(name) for row in rows]) for name in names]


def spoken(name: str) -> str:
    """A key as words: `peak_memory_mb` becomes `peak memory (MB)`."""
    words = name.replace("_", " ").replace(".", " ")
    for ending, unit in ((" mb", "(MB)"), (" s", "(s)"), (" per second", "/s")):
        if words.endswith(ending):
            return words.removesuffix(ending) + (unit if unit == "/s" else f" {unit}")
    return words


def number(value: float, decimals: int | None = None) -> str:
    """A number with thousands separators; without `decimals` as many as its size deserves."""
    if decimals is None:
        decimals = _decimals(value)
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def setting(value: Any) -> str:
    """A configuration value as `params.yaml` would have it: `true`, `["xz"]`, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _column(name: str, values: list[Any]) -> Column:
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    empty = sum(v is None or v == "" for v in values)
    numeric = bool(numbers) and len(numbers) + empty == len(values)
    if not numeric:
        return Column(spoken(name), False, ["" if v is None else _shortened(str(v)) for v in values])
    decimals = min((_decimals(v) for v in numbers if v), default=0)
    if all(isinstance(v, int) for v in numbers):
        decimals = 0
    return Column(spoken(name), True, ["" if v is None or v == "" else number(v, decimals) for v in values])


def _decimals(value: float) -> int:
    """Four significant digits, but at most four decimals."""
    if isinstance(value, int):
        return 0
    size = abs(value)
    return next((d for limit, d in ((1000, 0), (100, 1), (10, 2), (1, 3)) if size >= limit), 4)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
