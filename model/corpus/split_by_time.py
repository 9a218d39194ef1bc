"""Split by time: the newest documents judge, those before them tune, all older ones train.

A model is used on texts written after its training, so the newest texts are the honest test (Lazaridou et al. 2021,
"Mind the Gap", arXiv:2102.01951). Documents of one moment stay on one side, so the shares are at least those asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from model.errors import CorpusError

Undated = Literal["refuse", "train"]
YEAR_OR_MONTH = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?")
EXAMPLES = 3


def moment_of(created: str) -> str | None:
    """A date in one comparable form, `2005-03-01T00:00:00`, or None if it is not an ISO 8601 date.

    `2005` and `2005-03` stand for their first day; a time with an offset is turned into UTC.
    """
    text = created.strip()
    if len(text) > 40:
        return None
    if YEAR_OR_MONTH.fullmatch(text):
        text = f"{text}-01-01" if len(text) == 4 else f"{text}-01"
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None
    return found.replace(microsecond=0).isoformat()


@dataclass(frozen=True)
class Boundaries:
    """From which moments on a document belongs to validation and to test.

    Attributes:
        validation_from: First moment of validation.
        test_from: First moment of test.
        moments: How many different moments the documents have.
        undated: Documents without a date; they train.
        oldest: First moment of all.
        newest: Last moment of all.
    """

    validation_from: str
    test_from: str
    moments: int
    undated: int
    oldest: str
    newest: str

    def split(self, created: str) -> str:
        """The split of a document by its date; one without a date trains."""
        moment = moment_of(created)
        if moment is None or moment < self.validation_from:
            return "train"
        return "test" if moment >= self.test_from else "validation"

    def rows(self) -> list[dict[str, str]]:
        """The boundaries as a table for the report; a day without a time is shown as a day."""
        moments = (self.oldest, self.validation_from, self.test_from, self.newest)
        oldest, validation, test, newest = (moment.removesuffix("T00:00:00") for moment in moments)
        return [
            {"split": "train", "from": oldest, "before": validation},
            {"split": "validation", "from": validation, "before": test},
            {"split": "test", "from": test, "before": f"{newest} (included)"},
        ]


@dataclass
class _Dates:
    moments: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, name: str, created: str) -> None:
        moment = moment_of(created)
        if moment is not None:
            self.moments[moment] += 1
            return
        self.undated += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{name} (created {created[:40]!r})")


def find_boundaries(
    documents: Iterable[tuple[str, str]], test_fraction: float, validation_fraction: float, undated: Undated = "refuse"
) -> Boundaries:
    """Choose the boundaries; memory grows with the number of different moments only.

    Args:
        documents: Id and date of each document; of a cluster of near-duplicates the id of its first document and its
            earliest date, once for each of its documents.
        test_fraction: Test takes the newest moments that reach this share of all documents.
        validation_fraction: Validation takes those before them, likewise.
        undated: What becomes of documents without an ISO date: `refuse` them, or let them `train`.

    Raises:
        CorpusError: Documents have no date, or fewer than three moments differ, so that a split would be empty.
    """
    dates = _Dates()
    for name, created in documents:
        dates.add(name, created)
    total = dates.moments.total() + dates.undated
    if dates.undated and undated == "refuse":
        raise CorpusError(
            f"clean: {dates.undated:,} of {total:,} documents have no ISO date, the first: "
            f"{', '.join(dates.examples)}; expected one in `created` for clean.split: time; give dates to the source, "
            "train on them (tisslm run --set clean.undated=train), or split by hash (tisslm run --set clean.split=hash)"
        )
    newest_first = sorted(dates.moments, reverse=True)
    if len(newest_first) < 3 and not (dates.undated and len(newest_first) == 2):
        raise CorpusError(
            f"clean: the documents have {len(newest_first)} different dates, expected at least 3 for clean.split: time "
            "(one for each split); split by hash: tisslm run --set clean.split=hash"
        )
    test_from, rest = _reach(newest_first, dates.moments, test_fraction * total, keep=1 if dates.undated else 2)
    validation_from, _ = _reach(rest, dates.moments, validation_fraction * total, keep=0 if dates.undated else 1)
    return Boundaries(
        validation_from, test_from, len(newest_first), dates.undated, oldest=newest_first[-1], newest=newest_first[0]
    )


def _reach(newest_first: list[str], counts: Counter[str], wanted: float, keep: int) -> tuple[str, list[str]]:
    """The first moments, newest first, that reach `wanted` documents, but for `keep` that others need."""
    reached, taken = 0, 0
    while taken < len(newest_first) - keep and (taken == 0 or reached < wanted):
        reached += counts[newest_first[taken]]
        taken += 1
    return newest_first[taken - 1], newest_first[taken:]
