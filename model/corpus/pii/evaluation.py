"""How well personal data is found: precision, recall and F2 for each kind, on labelled texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from model.corpus.pii.labelled import Labelled
from model.corpus.pii.spans import Span
from model.errors import CorpusError

Finder = Callable[[str], list[Span]]
PASSAGE = re.compile(r"Passage: '''\n(.*)\n'''", re.DOTALL)


def evaluate(find: Finder, examples: Iterable[Labelled]) -> list[dict[str, Any]]:
    """One row for each kind: support, exact hits, misses, false alarms, precision, recall, F2, and recall by overlap.

    A finding counts as right only where kind, beginning and end all agree. `touched` is the share of true values
    that a finding of any kind covers whole, so that nothing of them would be left in the text.
    """
    true, found, right, covered = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for example in examples:
        spans = find(example.text)
        wanted = set(example.spans)
        true.update(span.kind for span in wanted)
        found.update(span.kind for span in spans)
        right.update(span.kind for span in spans if span in wanted)
        covered.update(w.kind for w in wanted if any(s.start <= w.start and w.end <= s.end for s in spans))
    rows = []
    for kind in sorted(set(true) | set(found)):
        precision = right[kind] / found[kind] if found[kind] else 0.0
        recall = right[kind] / true[kind] if true[kind] else 0.0
        rows.append(
            {
                "kind": kind,
                "true": true[kind],
                "right": right[kind],
                "missed": true[kind] - right[kind],
                "false": found[kind] - right[kind],
                "precision": precision,
                "recall": recall,
                "f2": f_score(precision, recall, beta=2),
                "covered": covered[kind] / true[kind] if true[kind] else 0.0,
            }
        )
    return rows


def f_score(precision: float, recall: float, beta: float) -> float:
    """The weighted harmonic mean of van Rijsbergen (1979): recall counts `beta` times as much as precision."""
    weight = beta * beta
    return (1 + weight) * precision * recall / (weight * precision + recall) if precision + recall else 0.0


def evaluate_passages(find: Finder, passages: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Whether a passage holds anything sensitive, as people judged it, against whether anything is found in it."""
    counts = Counter((sensitive, bool(find(text))) for text, sensitive in passages)
    right = counts[True, True]
    precision = right / max(right + counts[False, True], 1)
    recall = right / max(right + counts[True, False], 1)
    return {
        "passages": counts.total(),
        "sensitive": right + counts[True, False],
        "flagged": right + counts[False, True],
        "precision": precision,
        "recall": recall,
        "f2": f_score(precision, recall, beta=2),
    }


def read_passages(path: Path) -> list[tuple[str, bool]]:
    """Passages with a judgement: JSON lines with `query` (the passage between triple quotes) and `gold`.

    Raises:
        CorpusError: A line has another form.
    """
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                match = PASSAGE.search(row["query"])
                rows.append((match[1] if match else row["query"], row["choices"][row["gold"]] == "yes"))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise CorpusError(
                    f"{path}, line {number}: expected JSON with query, choices and gold ({error})"
                ) from error
    return rows
