"""The waterfall adds up, and pictures of the same rows are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.filters.plots import lengths_plot, waterfall_plot
from model.corpus.filters.report import length_rows, reason_rows, waterfall_rows

pytestmark = pytest.mark.feature("CORP-04")
REASONS = ["empty", "too_short", "gopher_quality.too_few_words", "c4.curly_bracket", "c4.phrase", "duplicate"]
COUNTS = st.dictionaries(st.sampled_from([*REASONS, "unheard_of"]), st.integers(0, 50))


def test_steps_are_those_of_the_reasons_in_order():
    rows = waterfall_rows(
        100,
        5000,
        {"c4.phrase": 5, "empty": 1, "c4.curly_bracket": 4},
        {"c4.phrase": 500},
        REASONS,
        kept_characters=4000,
    )
    assert [(row["step"], row["documents"], row["documents_left"]) for row in rows] == [
        ("in", 100, 100),
        ("empty", 1, 99),
        ("too_short", 0, 99),
        ("gopher_quality", 0, 99),
        ("c4", 9, 90),
        ("duplicate", 0, 90),
        ("repairs and line rules", 0, 90),
        ("left", 90, 90),
    ]
    assert [row["characters_left"] for row in rows] == [5000, 5000, 5000, 5000, 4500, 4500, 4000, 4000]
    assert rows[-1]["share_left"] == pytest.approx(0.9)


@given(COUNTS)
def test_nothing_is_lost_between_the_steps(dropped):
    rows = waterfall_rows(1000, 9000, dropped, dropped, REASONS)
    assert rows[0]["documents"] == rows[-1]["documents"] + sum(row["documents"] for row in rows[1:-1]) == 1000
    assert rows[-1]["characters_left"] == 9000 - sum(dropped.values())


def test_reasons_come_with_meaning_and_examples():
    rows = reason_rows(
        10,
        {"empty": 1, "c4.phrase": 3, "duplicate": 0},
        {"c4.phrase": 90},
        {"empty": "no text"},
        {"empty": [("a", "b")]},
    )
    assert [row["reason"] for row in rows] == ["c4.phrase", "empty"]
    assert rows[1] == {
        "reason": "empty", "meaning": "no text", "documents": 1, "share": 0.1, "characters": 0, "examples": [("a", "b")]
    }  # fmt: skip


def test_lengths_stand_side_by_side_without_gaps():
    assert length_rows([(0, 2), (4, 5)], [(1, 1)]) == [
        {"from": 0, "to": 0, "before": 2, "after": 0},
        {"from": 1, "to": 1, "before": 0, "after": 1},
        {"from": 2, "to": 3, "before": 0, "after": 0},
        {"from": 4, "to": 7, "before": 5, "after": 0},
    ]
    assert length_rows([], []) == []


def test_pictures_are_the_same_bytes_and_show_the_numbers():
    rows = waterfall_rows(1234, 5000, {"c4.phrase": 34}, {}, REASONS)
    picture = waterfall_plot(rows)
    assert picture == waterfall_plot(rows)
    assert b"1,234" in picture
    assert b"curly" not in picture
    assert waterfall_plot(rows, "png").startswith(b"\x89PNG")
    lengths = length_rows([(64, 10)], [(128, 5)])
    assert lengths_plot(lengths) == lengths_plot(lengths)
