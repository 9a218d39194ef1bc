"""Judges an answer: equivalent forms are right, everything else is wrong, nothing is ever executed.

An answer is bounded before it is parsed (20,000 characters; numbers 400; JSON 64 levels deep), so that a model's
output cannot make judging slow or fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from model.corpus.synthetic.example import Example

LONGEST_ANSWER = 20_000
LONGEST_NUMBER = 400
DEEPEST = 64
NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?\Z", re.ASCII)
LEAD = re.compile(r"(?:(?:the )?(?:final )?answer(?: is)?|result|=)\s*[:=]?\s*", re.IGNORECASE)
QUOTIENT = re.compile(
    r"(?:quotient:?\s*)?(-?\d{1,400})[,;]?\s*(?:and\s+)?(?:with\s+)?(?:an?\s+)?(?:r|rem|remainder)\.?:?\s*(\d{1,400})\s*\.?\Z",
    re.I,
)
FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?```\Z", re.DOTALL)


def verify(example: Example, answer: str) -> bool:
    """Whether an answer is right for an example."""
    return judge(example.verifier, answer)


def judge(verifier: dict[str, Any], answer: str) -> bool:
    """Whether an answer is right, from the verifier's data alone (as it stands in a JSON line).

    Raises:
        KeyError: The data names no known kind of verifier, or lacks what that kind needs.
    """
    judge_kind = VERIFIERS[verifier["kind"]]
    return len(answer) <= LONGEST_ANSWER and judge_kind(verifier, answer.strip())


def _number(verifier: dict[str, Any], answer: str) -> bool:
    value = parse_number(answer)
    return value is not None and value == Decimal(verifier["value"])


def parse_number(text: str) -> Decimal | None:
    """A number written plainly, with thousands separators, a sign, a full stop at its end, or `=` before it."""
    text = text.strip()
    lead = LEAD.match(text)
    text = text[lead.end() if lead else 0 :].replace("\u2212", "-").strip().strip("`*$").rstrip(".").strip()
    if len(text) > LONGEST_NUMBER or not NUMBER.match(text):
        return None
    try:
        return Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        return None


def _quotient(verifier: dict[str, Any], answer: str) -> bool:
    match = QUOTIENT.match(answer)
    if not match:
        return False
    return int(match[1]) == int(verifier["quotient"]) and int(match[2]) == int(verifier["remainder"])


def _text(verifier: dict[str, Any], answer: str) -> bool:
    value = verifier["value"].strip()
    if answer == value:
        return True
    return len(answer) >= 2 and answer[0] == answer[-1] and answer[0] in "\"'`" and answer[1:-1] == value


def _list(verifier: dict[str, Any], answer: str) -> bool:
    inner = answer.rstrip(".").strip()
    if len(inner) >= 2 and (inner[0], inner[-1]) in {("[", "]"), ("(", ")"), ("{", "}")}:
        inner = inner[1:-1]
    items = [
        item.strip().strip("\"'`") for item in re.split(r",|;|\n" if re.search(r"[,;\n]", inner) else r"\s+", inner)
    ]
    wanted = verifier["value"]
    return len(items) == len(wanted) and all(map(_same_item, items, wanted))


def _same_item(item: str, wanted: str) -> bool:
    if item == wanted:
        return True
    value, right = parse_number(item), parse_number(wanted)
    return value is not None and value == right


def _json(verifier: dict[str, Any], answer: str) -> bool:
    fence = FENCE.match(answer)
    try:
        value = parse_json(fence[1] if fence else answer)
    except ValueError:
        return False
    return same_json(value, verifier["value"])


def parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no key twice, not deeper than 64 levels.

    Raises:
        ValueError: It is not that.
    """
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > DEEPEST:  # brackets within strings count too: none of our answers comes near
        raise ValueError(f"nested {deepest} deep, expected at most {DEEPEST}")
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def same_json(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: key order does not count, 1 and 1.0 are one number, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return type(a) is type(b) and bool(a == b)


def _constraints(verifier: dict[str, Any], answer: str) -> bool:
    return bool(answer) and all(CHECKS[check["check"]](check, answer) for check in verifier["checks"])


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


CHECKS: dict[str, Callable[[dict[str, Any], str], bool]] = {
    "contains": lambda check, text: set(check["words"]) <= {word.lower() for word in _words(text)},
    "without": lambda check, text: check["text"].lower() not in text.lower(),
    "ends_with": lambda check, text: text.endswith(check["text"]),
    "starts_with": lambda check, text: [word.lower() for word in _words(text)[:1]] == [check["word"].lower()],
    "words": lambda check, text: check["least"] <= len(_words(text)) <= check["most"],
    "case": lambda check, text: text == (text.upper() if check["case"] == "upper" else text.lower()),
    "sentences": lambda check, text: len(re.findall(r"[^.!?\s][^.!?]*[.!?]+|[^.!?\s][^.!?]*\Z", text)) == check["n"],
}
VERIFIERS: dict[str, Callable[[dict[str, Any], str], bool]] = {
    "number": _number,
    "quotient": _quotient,
    "text": _text,
    "list": _list,
    "json": _json,
    "constraints": _constraints,
}
