"""Text that grows by bytes: against cutting the finished text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.generation.text import GrowingText

FEW_LETTERS = st.text("abé€😀", max_size=40)
STOPS = st.lists(st.text("abé", min_size=1, max_size=4), max_size=3)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


def cut_before_stop(text: str, stop: list[str]) -> str:
    for end in range(1, len(text) + 1):
        complete = [s for s in stop if text[:end].endswith(s)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


@pytest.mark.feature("GEN-01")
@given(text=FEW_LETTERS, stop=STOPS, cuts=st.lists(st.integers(0, 200), max_size=30))
def test_pieces_joined_are_the_text_before_the_stop(text: str, stop: list[str], cuts: list[int]) -> None:
    growing, pieces = GrowingText(stop), []
    for chunk in chunks(text.encode(), cuts):
        growing.add(chunk)
        pieces.append(growing.take())
    pieces.append(growing.take(last=True))
    expected = cut_before_stop(text, stop)
    assert growing.text == "".join(pieces) == expected
    assert growing.stopped == (expected != text or any(s in text for s in stop))


@pytest.mark.feature("GEN-01")
@given(data=st.binary(max_size=30), cuts=st.lists(st.integers(0, 200), max_size=10))
def test_any_bytes_become_the_text_that_python_reads_without_a_cut_end(data: bytes, cuts: list[int]) -> None:
    growing = GrowingText()
    for chunk in chunks(data, cuts):
        growing.add(chunk)
    whole = data.decode("utf-8", errors="replace")
    assert whole.startswith(growing.text)
    assert whole[len(growing.text) :] in ("", "\ufffd")


def test_half_a_character_is_held_back_and_left_out_at_the_end() -> None:
    growing = GrowingText()
    pieces = []
    for byte in "é😀".encode()[:-1]:
        growing.add(bytes([byte]))
        pieces.append(growing.take())
    assert pieces == ["", "é", "", "", ""]
    assert growing.take(last=True) == ""


def test_start_of_a_stop_string_is_held_back_until_it_is_sure() -> None:
    growing = GrowingText(["END", "\n\n"])
    taken = []
    for chunk in (b"to the E", b"N", b"V", b"OY\n", b"x", b"EN", b"D and on"):
        growing.add(chunk)
        taken.append(growing.take())
    assert taken == ["to the ", "", "ENV", "OY", "\nx", "", ""]
    assert growing.stopped
