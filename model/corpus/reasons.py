"""The reasons for which cleaning itself drops a document; filters add their own."""

from __future__ import annotations

REASONS = {
    "empty": "nothing left after normalization",
    "too_short": "shorter than clean.min_characters",
    "too_long": "longer than clean.max_characters",
    "duplicate": "the same text came before",
    "near_duplicate": "nearly the same text is kept",
    "in_reference": "the same or nearly the same text stands in a reference set (clean.deduplicate_against)",
    "contaminated": "shares word sequences with a benchmark or with the test split",
}

OF_ONE_DOCUMENT = ("empty", "too_short", "too_long")
"""Those that are tried before any filter; the others look at all documents and come after the filters."""
