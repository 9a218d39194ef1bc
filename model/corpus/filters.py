"""Filters keep a document, or drop it with a reason."""

from __future__ import annotations

from typing import Protocol

from model.corpus.config import CleanConfig
from model.corpus.deduplicate import SeenTexts

REASONS = {
    "empty": "nothing left after normalization",
    "too_short": "shorter than clean.min_characters",
    "too_long": "longer than clean.max_characters",
    "duplicate": "the same text came before",
}


class Filter(Protocol):
    """Judges a normalized text: `None` keeps it, a key of `REASONS` drops it."""

    def __call__(self, text: str) -> str | None:
        """The reason to drop the text, if there is one."""
        ...


def build_filters(config: CleanConfig) -> list[Filter]:
    """The filters that a config asks for; the first that gives a reason decides."""
    filters: list[Filter] = [drop_empty, LengthFilter(config.min_characters, config.max_characters)]
    if config.deduplicate == "exact":
        filters.append(SeenTexts())
    return filters


def drop_empty(text: str) -> str | None:
    """Drops a text of nothing but white space."""
    return None if text.strip() else "empty"


class LengthFilter:
    """Drops texts outside [least, most] characters; `most` may be None."""

    def __init__(self, least: int, most: int | None) -> None:
        self.least = least
        self.most = most

    def __call__(self, text: str) -> str | None:
        """`too_short`, `too_long` or None."""
        if len(text) < self.least:
            return "too_short"
        return "too_long" if self.most is not None and len(text) > self.most else None
