"""What cleaning dropped, as plain rows: the waterfall of counts, the reasons with examples, the lengths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def waterfall_rows(
    documents: int,
    characters: int,
    dropped: Mapping[str, int],
    dropped_characters: Mapping[str, int],
    reasons: Iterable[str],
    kept_characters: int | None = None,
) -> list[dict[str, Any]]:
    """How many documents and characters each step takes away, and how many it leaves.

    A step is what stands before the dot of its reasons (`c4.curly_bracket` belongs to `c4`); a reason without a dot is
    a step of its own. Steps that dropped nothing have a row too.

    Args:
        documents: Documents that came in.
        characters: Characters that came in.
        dropped: Documents dropped, by reason.
        dropped_characters: Their characters, by reason.
        reasons: All reasons, in the order in which they are tried; others that dropped something come last.
        kept_characters: Characters of what is left, if known: what repairs and line rules took out gets a row.

    Returns:
        Rows `step, documents, characters, documents_left, characters_left, share_left`; `documents` and `characters`
        are what the step took away, in the first row and the last what came in and what is left.
    """
    ordered = [*dict.fromkeys([*reasons, *sorted(dropped)])]
    steps = dict.fromkeys(reason.partition(".")[0] for reason in ordered)
    left, characters_left = documents, characters
    rows = [_row("in", documents, characters, left, characters_left, documents)]
    for step in steps:
        own = [reason for reason in ordered if reason.partition(".")[0] == step]
        taken = sum(dropped.get(reason, 0) for reason in own)
        characters_taken = sum(dropped_characters.get(reason, 0) for reason in own)
        left, characters_left = left - taken, characters_left - characters_taken
        rows.append(_row(step, taken, characters_taken, left, characters_left, documents))
    if kept_characters is not None and kept_characters != characters_left:
        rows.append(
            _row("repairs and line rules", 0, characters_left - kept_characters, left, kept_characters, documents)
        )
        characters_left = kept_characters
    return [*rows, _row("left", left, characters_left, left, characters_left, documents)]


def reason_rows(
    documents: int,
    dropped: Mapping[str, int],
    dropped_characters: Mapping[str, int],
    meanings: Mapping[str, str],
    examples: Mapping[str, Sequence[tuple[str, str]]],
) -> list[dict[str, Any]]:
    """The reasons that dropped something, most documents first: counts, meaning, and the beginnings of a few documents.

    Returns:
        Rows `reason, meaning, documents, share, characters, examples` (a list of id and text).
    """
    found = sorted((reason for reason, n in dropped.items() if n), key=lambda reason: (-dropped[reason], reason))
    return [
        {
            "reason": reason,
            "meaning": meanings.get(reason, ""),
            "documents": dropped[reason],
            "share": dropped[reason] / max(documents, 1),
            "characters": dropped_characters.get(reason, 0),
            "examples": list(examples.get(reason, ())),
        }
        for reason in found
    ]


def length_rows(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> list[dict[str, int]]:
    """Lengths before and after cleaning, side by side.

    Args:
        before: Pairs of 2^k (0 for the length 0) and how many documents have 2^k to 2^(k+1) - 1 characters, as
            `Lengths.histogram` gives them.
        after: The same of what is left.

    Returns:
        Rows `from, to, before, after`, without gaps; both ends belong to the class.
    """
    counts = dict(before), dict(after)
    starts = sorted({*counts[0], *counts[1]})
    if not starts:
        return []
    classes = [start for start in [0, *(1 << k for k in range(64))] if starts[0] <= start <= starts[-1]]
    return [
        {
            "from": start,
            "to": 2 * start - 1 if start else 0,
            "before": counts[0].get(start, 0),
            "after": counts[1].get(start, 0),
        }
        for start in classes
    ]


def _row(step: str, documents: int, characters: int, left: int, characters_left: int, whole: int) -> dict[str, Any]:
    return {
        "step": step,
        "documents": documents,
        "characters": characters,
        "documents_left": left,
        "characters_left": characters_left,
        "share_left": left / max(whole, 1),
    }
