"""Long texts are cut where a reader would cut them, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.parts import split_parts

pytestmark = pytest.mark.feature("CORP-01")


@given(st.lists(st.text("ab \n", max_size=30)), st.integers(2, 40))
def test_parts_are_bounded_and_concatenate_to_the_text(pieces, limit):
    parts = list(split_parts(pieces, limit))
    assert "".join(parts) == "".join(pieces)
    assert all(0 < len(part) <= limit for part in parts)


@given(st.text("ab \n", max_size=200), st.integers(2, 40), st.integers(1, 50))
def test_parts_do_not_depend_on_how_the_text_arrives(text, limit, size):
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert list(split_parts(pieces, limit)) == list(split_parts([text], limit))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("aaaa bb\n\ncc dd ee", "aaaa bb\n\n"),
        ("aaaa bb\ncc dd ee", "aaaa bb\n"),
        ("aaaa bb cc dd ee", "aaaa bb cc "),
        ("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaa"),
    ],
)
def test_cut_prefers_blank_line_then_line_end_then_space(text, first):
    assert next(split_parts([text], 12)) == first
