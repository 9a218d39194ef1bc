"""Words are those of spaCy's English tokenizer; nothing but white space is ever lost."""

import re
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.corpus.segmentation import MARK, NUMBER, WORD, segment, word_hash

pytestmark = pytest.mark.feature("CORP-04")
ANY_TEXT = st.text(st.characters())
CHUNKS = (
    "don't Mr. U.S. 's 'em I'll cannot dont e-mail a.b@c.com http://x.org/a?b=c :) ): (the) word, end. ... … 5km US$5 "
    "$5 1990-1995 1-2 a--b a—b — x=1 f(x): [1] and/or rock'n'roll dog's dogs' “quoted” 3.14 +5 5+ C++ °C. 10am AT&T "
    "www.example.com/path 1.2.3.4:80/x O'Neil #tag @user 50% ½ naïve 日本語。 привет, \" ! ? ;"
)
ENGLISH = st.lists(st.sampled_from([*CHUNKS.split(), "\n", "\t", "\r\n"]), max_size=30).map(" ".join)
GLUED = st.text(st.sampled_from("ab AZ09.,:;!?'’\"()[]{}<>=+-*/&%$#@~…—–_|\\\n°²sS€^"), max_size=40)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t ", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("I don't know Mr. Smith's e-mail.", ["I", "do", "n't", "know", "Mr.", "Smith", "'s", "e", "-", "mail", "."]),
        ("(see http://x.org/a?b=c)", ["(", "see", "http://x.org/a?b=c", ")"]),
        ("5km for US$5...", ["5", "km", "for", "US$", "5", "..."]),
        ("def f(x): :)", ["def", "f(x", "):", ":)"]),
        ("a\ud800b \x00", ["a\ud800b", "\x00"]),
    ],
)
def test_words_of_known_texts(text, words):
    assert segment([text]).words(0) == words


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ANY_TEXT, ENGLISH, GLUED), max_size=4))
@example(["", "a", "", "\ud800\udc00 x"])
def test_words_are_the_text_without_its_white_space(texts):
    cut = segment(texts)
    for i, text in enumerate(texts):
        assert "".join(cut.words(i)) == "".join(text.split())
        assert all(cut.words(i))


@settings(max_examples=400, deadline=None)
@given(st.one_of(ENGLISH, GLUED))
def test_words_are_spacys(text):
    spacy = pytest.importorskip("spacy")
    assert segment([text]).words(0) == _spacy_words(spacy, text)


def _spacy_words(spacy, text: str) -> list[str]:
    if not hasattr(_spacy_words, "tokenizer"):
        _spacy_words.tokenizer = spacy.blank("en").tokenizer
    stripped = (token.text.strip() for token in _spacy_words.tokenizer(text))
    return [word for word in stripped if word]


@settings(deadline=None)
@given(st.lists(st.one_of(ANY_TEXT, ENGLISH), max_size=4))
def test_batches_give_what_single_texts_give(texts):
    together = segment(texts)
    for i, text in enumerate(texts):
        alone, words = segment([text]), slice(together.words_of_text[i], together.words_of_text[i + 1])
        assert np.array_equal(together.word_hashes[words], alone.word_hashes)
        assert np.array_equal(together.lower_hashes[words], alone.lower_hashes)
        assert np.array_equal(together.word_kinds[words], alone.word_kinds)


def test_hashes_depend_on_the_word_alone():
    cut = segment(["The cat", "the CAT the"])
    the, cat, small, capitals, again = cut.word_hashes.tolist()
    assert len({the, cat, small, capitals}) == 4
    assert again == small == word_hash("the")
    assert cut.lower_hashes.tolist() == [word_hash(word) for word in ("the", "cat", "the", "cat", "the")]


def test_kinds_tell_words_numbers_and_marks():
    cut = segment(["word b2b 1990 ½ ! -- 日本 ٣"])
    assert cut.word_kinds.tolist() == [WORD, WORD, NUMBER, NUMBER, MARK, MARK, WORD, NUMBER]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab \n\r\t"), max_size=30), min_size=1, max_size=4))
def test_lines_and_paragraphs_are_those_of_split(texts):
    cut = segment(texts)
    for i, text in enumerate(texts):
        assert _strings(cut, cut.lines, i) == text.split("\n")
        assert _strings(cut, cut.paragraphs, i) == re.split(r"\n{2,}", text.strip())
    lines = [line for text in texts for line in text.split("\n")]
    by_hash: dict[int, set[str]] = {}
    for line, value in zip(lines, cut.lines.hashes.tolist(), strict=True):
        by_hash.setdefault(value, set()).add(line)
    assert len(by_hash) == len(set(lines))


def _strings(cut, pieces, text: int) -> list[str]:
    places = range(pieces.of_text[text], pieces.of_text[text + 1])
    return [cut.string(pieces.starts[i], pieces.ends[i]) for i in places]


@pytest.mark.parametrize("unit", ["a", "(", ".", "a.", "'", "-", "1", "a@", "://", "x:/", "’s", "[1]", "…", "\ud800"])
def test_time_is_linear_on_hostile_texts(unit):
    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        started = time.process_time()
        segment([text])
        return time.process_time() - started

    seconds(1000)
    small, large = min(seconds(200_000) for _ in range(3)), seconds(2_000_000)
    assert large < 60 * max(small, 0.002)
