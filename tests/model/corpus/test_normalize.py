"""Each repair does its own work, and none is needed twice."""

import unicodedata

import ftfy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.corpus.config import NormalizeConfig
from model.corpus.normalize import fix_mojibake, remove_control_characters, repairs, tidy_white_space

pytestmark = pytest.mark.feature("CORP-03")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
OFF = {"fix_mojibake": False, "unicode_form": "none", "control_characters": False, "white_space": False}


def normalize(text: str, **changes: object) -> str:
    for repair in repairs(NormalizeConfig(**changes)).values():
        text = repair(text)
    return text


@given(TEXTS, st.sampled_from(["NFC", "NFKC"]), st.booleans())
def test_normalizing_twice_changes_nothing_more(text, form, lowercase):
    once = normalize(text, unicode_form=form, lowercase=lowercase, fix_mojibake=False)
    assert normalize(once, unicode_form=form, lowercase=lowercase, fix_mojibake=False) == once


@given(TEXTS)
def test_result_is_in_normal_form_without_control_characters(text):
    result = normalize(text, fix_mojibake=False)
    assert unicodedata.is_normalized("NFC", result)
    assert not {c for c in result if unicodedata.category(c) == "Cc"} - {"\n", "\t"}


@given(TEXTS)
def test_everything_switched_off_changes_nothing(text):
    assert normalize(text, **OFF) == text


@pytest.mark.parametrize("original", ["café", "naïve – “quoted”", "Ελλάδα", "日本語", "Ünïcödé", "fi ﬁ ½ ’"])
def test_mojibake_is_undone_and_right_text_left_alone(original):
    broken = original.encode("utf-8").decode("latin-1")
    if original not in {"fi ﬁ ½ ’"}:
        assert fix_mojibake(f"first line\n{broken}\n") == f"first line\n{original}\n"
    assert fix_mojibake(original) == original


PIECES = [*"aZ .,\n\x1a\x85\xa0éÃÂàœ“—ß€В½°×√漢\ufffd", "Ã©", "Ã ", "â€™", "Â ", "Ð¶"]
MOJIBAKE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(max_examples=1000)
@given(MOJIBAKE)
def test_lines_that_are_passed_by_are_those_that_ftfy_leaves_alone(text):
    lines = text.split("\n")
    assert fix_mojibake(text) == "\n".join(ftfy.fix_encoding(line) for line in lines)


def test_mojibake_repair_leaves_entities_and_quotes_alone():
    text = "&lt;b&gt; it’s “so” é"
    assert fix_mojibake(text) == text


def test_control_characters_go_and_white_space_stays():
    assert remove_control_characters("a\x00b\x1b[0m\tc\r\nd\x7f\ufeffe\x0cf") == "ab[0m\tc\r\nde\x0cf"


def test_white_space_is_tidied():
    assert tidy_white_space("\n a  \r\nb\t\r\rc\n\n\n\n\n\nd\x0ce\u2028f  ") == "a\nb\n\nc\n\n\nd\ne\nf"


def test_decomposed_letters_are_composed():
    assert normalize("e\u0301") == "é"


def test_compatibility_form_is_a_choice():
    assert normalize("ﬁ") == "ﬁ"
    assert normalize("ﬁ", unicode_form="NFKC") == "fi"


def test_lowercase_lowers_what_the_normal_form_made_a_capital():
    assert normalize("ℌello WORLD", unicode_form="NFKC", lowercase=True) == "hello world"
