"""Findings in a text, and how overlapping ones are resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model.corpus.pii.config import KINDS, Kind

PRIORITY = {kind: rank for rank, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Span:
    """A finding: `text[start:end]` is of this kind."""

    start: int
    end: int
    kind: Kind


def resolve(spans: Iterable[Span]) -> list[Span]:
    """The findings that stay, in order: of overlapping ones the longest, then by the order of `KINDS`, then the first.

    Takes time proportional to n log n plus the summed length of the findings.
    """
    kept: list[Span] = []
    for group in _overlapping(sorted(set(spans), key=lambda span: (span.start, span.end, PRIORITY[span.kind]))):
        if len(group) == 1:
            kept += group
            continue
        origin = group[0].start
        taken = bytearray(max(span.end for span in group) - origin)
        stay = []
        for span in sorted(group, key=lambda s: (s.start - s.end, PRIORITY[s.kind], s.start)):
            if taken.find(1, span.start - origin, span.end - origin) < 0:
                taken[span.start - origin : span.end - origin] = b"\x01" * (span.end - span.start)
                stay.append(span)
        kept += sorted(stay, key=lambda span: span.start)
    return kept


def _overlapping(spans: list[Span]) -> Iterator[list[Span]]:
    """Groups of findings that touch one another, directly or by a chain."""
    group: list[Span] = []
    end = 0
    for span in spans:
        if group and span.start >= end:
            yield group
            group = []
        group.append(span)
        end = max(end, span.end) if len(group) > 1 else span.end
    if group:
        yield group
