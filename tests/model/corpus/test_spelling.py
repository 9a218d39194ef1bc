"""Misspelled words are corrected where there is no doubt, and nothing else is touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.corpus.spelling import correct_misspellings, is_slip, speller

pytestmark = pytest.mark.feature("CORP-03")
AROUND = "When we were walking home from the old school in the rain, everybody {} that the weather would change soon."


def corrected(word: str) -> str:
    before, after = AROUND.split("{}")
    text = correct_misspellings(AROUND.format(word))
    assert text.startswith(before)
    assert text.endswith(after)
    return text.removeprefix(before).removesuffix(after)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("beleived", "believed"),
        ("recieve", "receive"),
        ("Recieve", "Receive"),
        ("occured", "occurred"),
        ("goverment", "government"),
        ("definately", "definitely"),
        ("appontment", "appointment"),
        ("wierd,", "weird,"),
        ("(freind)", "(friend)"),
    ],
)
def test_clear_mistakes_are_corrected(wrong, right):
    assert corrected(wrong) == right


@pytest.mark.parametrize(
    "word",
    [
        "colour", "color", "favorite", "organise", "organize", "traveling", "aluminum", "neighbor", "defense",
        "judgement", "Zogblat", "Recieveson", "RECIEVE", "recieve_all", "recieve()", "recieve.py",
        "self.recieve", "recieve's", "x2recieve", "wouldn't", "wouldn 't", "tokenizer", "uncorrected",
        "rereading", "the", "teh2", "naïve", "freind@example.com", "http://freind.example/", "alarum",
        "seest",
    ],
)  # fmt: skip
def test_names_code_and_other_spellings_stay(word):
    assert corrected(word) == word


def test_a_word_that_comes_often_is_a_term():
    text = AROUND.format("said") + " The speling of speling is speling, as everybody in the old school knows very well."
    assert correct_misspellings(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.",
        "for recieve in values: qeue.append(recieve) # prnt teh resluts",
        "teh recieve freind xq zzv jkwq pfft brrr qwrt",
    ],
)
def test_other_languages_and_code_stay(text):
    assert correct_misspellings(text) == text


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(st.characters()),
        st.lists(st.sampled_from([*speller().listed, *AROUND.split(), "speling", "letttter", "\n"]), max_size=30).map(
            " ".join
        ),
    )
)
def test_correcting_twice_changes_nothing_more(text):
    once = correct_misspellings(text)
    assert correct_misspellings(once) == once


def test_the_list_corrects_unknown_words_to_known_ones():
    for wrong, right in speller().listed.items():
        assert not speller().symspell.words.get(wrong)
        assert all(word in speller().symspell.words for word in right.split())


@pytest.mark.parametrize(
    ("written", "meant", "slip"),
    [
        ("recieve", "receive", True),
        ("occured", "occurred", True),
        ("untill", "until", True),
        ("diretory", "directory", True),
        ("cas", "case", False),
        ("labor", "labour", False),
        ("traveling", "travelling", False),
        ("seperate", "separate", False),
        ("xeceive", "receive", False),
        ("afterward", "afterwards", False),
    ],
)
def test_slips_of_the_fingers(written, meant, slip):
    assert is_slip(written, meant) is slip
