"""JSON: take a value out, write facts as an object, repair broken JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from model.corpus.synthetic.example import Example
from model.corpus.synthetic.vocabulary import CITIES, NAMES, NOUNS

KEYS = ("name", "city", "age", "score", "tags", "active", "owner", "items", "size", "price", "color", "notes")


def make_json(r: random.Random, difficulty: int) -> Example:
    """One problem of extraction, formatting or repair; the difficulty is the number of keys and the depth."""
    return r.choice([_extract, _format, _repair])(r, difficulty)


def _value(r: random.Random, depth: int) -> Any:
    kind = r.randrange(6 if depth > 0 else 4)
    if kind == 0:
        return r.randint(-99, 9999)
    if kind == 1:
        return r.choice([True, False, None])
    if kind == 2:
        return r.choice(NOUNS)
    if kind == 3:
        return round(r.uniform(0, 100), 2)
    if kind == 4:
        return [_value(r, depth - 1) for _ in range(r.randint(1, 3))]
    return _object(r, r.randint(1, 3), depth - 1)


def _object(r: random.Random, n_keys: int, depth: int) -> dict[str, Any]:
    return {key: _value(r, depth) for key in r.sample(KEYS, min(n_keys, len(KEYS)))}


def _extract(r: random.Random, difficulty: int) -> Example:
    whole = _object(r, 1 + difficulty, difficulty // 3)
    place, value = "", whole
    while isinstance(value, dict | list) and value and (not place or r.random() < 0.7):
        key: Any = r.choice(list(value)) if isinstance(value, dict) else r.randrange(len(value))
        place += f"[{json.dumps(key)}]"
        value = value[key]
    written = json.dumps(whole, indent=r.choice([None, 2]))
    prompt = f"Given x = {written}\nWhat is x{place}? Answer as JSON."
    return Example("json", prompt, json.dumps(value), {"kind": "json", "value": value}, difficulty)


def _format(r: random.Random, difficulty: int) -> Example:
    facts: dict[str, Any] = {}
    makers: dict[str, Callable[[], Any]] = {
        "name": lambda: r.choice(NAMES),
        "city": lambda: r.choice(CITIES),
        "age": lambda: r.randint(1, 99),
        "score": lambda: r.randint(0, 1000) / 10,
        "active": lambda: r.choice([True, False]),
        "tags": lambda: r.sample(NOUNS, r.randint(1, 3)),
        "owner": lambda: None,
    }
    for key in r.sample(sorted(makers), min(1 + (difficulty + 1) // 2, len(makers))):
        facts[key] = makers[key]()
    lines = "\n".join(f"{key}: {_spoken(value)}" for key, value in facts.items())
    prompt = (
        f"Write these facts as one JSON object. Numbers stay numbers, yes and no become booleans, none null.\n{lines}"
    )
    return Example("json", prompt, json.dumps(facts), {"kind": "json", "value": facts}, difficulty)


def _spoken(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "list of " + ", ".join(value) if isinstance(value, list) else str(value)


def _repair(r: random.Random, difficulty: int) -> Example:
    whole = _object(r, 1 + difficulty, difficulty // 4)
    right = json.dumps(whole)
    python = right.replace("true", "True").replace("false", "False").replace("null", "None")
    damages = (
        right[:-1],
        right.replace('"', "'"),
        right[:-1] + ",}",
        right.replace('":', '" =', 1),
        right.replace('"', "", 2),
        python[:-1] + ",}",
    )
    broken = r.choice(damages)
    prompt = f"This JSON object is broken. Repair it without changing its values.\n{broken}"
    return Example("json", prompt, right, {"kind": "json", "value": whole}, difficulty)
