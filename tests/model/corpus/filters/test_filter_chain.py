"""The chain, and the filters that are not from a paper."""

import pickle
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from model.corpus.filters.chain import FilterChain
from model.corpus.filters.config import (
    C4Config,
    CharacterClassesConfig,
    FilterConfig,
    FineWebConfig,
    GopherQualityConfig,
    GopherRepetitionConfig,
    LanguageFilterConfig,
    LengthFilterConfig,
    PatternFilterConfig,
    ToxicityFilterConfig,
)

pytestmark = pytest.mark.feature("CORP-04")
ENGLISH = "It was the best of times, it was the worst of times, it was the age of wisdom and of foolishness."
GERMAN = "Es war die beste und die schlechteste aller Zeiten, das Zeitalter der Weisheit und der Torheit."
ALL = [
    LengthFilterConfig(min_words=3, max_characters=100_000),
    CharacterClassesConfig(most={"digits": 0.5}),
    GopherQualityConfig(min_words=10),
    GopherRepetitionConfig(),
    C4Config(min_sentences=1),
    FineWebConfig(),
    PatternFilterConfig(pattern="casino"),
]


def reasons(configs, texts: list[str]) -> list[str]:
    return [verdict.reason for verdict in FilterChain(configs).judge(texts)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(), st.sampled_from([ENGLISH, f"{ENGLISH}\nMenu", ENGLISH * 9])), max_size=6))
def test_a_text_is_judged_alike_in_any_batch(texts):
    chain = FilterChain(ALL)
    assert chain.judge(texts) == [verdict for text in texts for verdict in chain.judge([text])]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters()), max_size=4))
def test_any_text_gets_a_verdict_with_a_known_reason(texts):
    chain = FilterChain(ALL)
    verdicts = chain.judge(texts)
    assert len(verdicts) == len(texts)
    assert {verdict.reason for verdict in verdicts} <= {"", *chain.reasons}


def test_the_first_filter_that_gives_a_reason_decides():
    text = "casino " * 3
    assert reasons([LengthFilterConfig(min_words=5), PatternFilterConfig(pattern="casino")], [text]) == [
        "length.too_few_words"
    ]
    assert reasons([PatternFilterConfig(pattern="casino"), LengthFilterConfig(min_words=5)], [text]) == [
        "pattern.pattern"
    ]


def test_a_later_filter_sees_what_an_earlier_one_left():
    text = f"{ENGLISH}\ncasino without a stop"
    verdict = FilterChain([C4Config(min_sentences=1), PatternFilterConfig(pattern="casino")]).judge([text])[0]
    assert (verdict.text, verdict.reason, verdict.changed) == (ENGLISH, "", ("c4",))


def test_the_same_filter_twice_has_two_names():
    chain = FilterChain([LengthFilterConfig(min_words=1), LengthFilterConfig(max_words=2)])
    assert [verdict.reason for verdict in chain.judge(["", "a b c"])] == [
        "length.too_few_words",
        "length_2.too_many_words",
    ]


def test_configs_come_from_plain_data_and_can_be_pickled():
    adapter = TypeAdapter(tuple[FilterConfig, ...])
    configs = adapter.validate_python([{"filter": "c4", "min_sentences": None}, {"filter": "length", "min_words": 3}])
    assert pickle.loads(pickle.dumps(configs)) == configs
    assert adapter.validate_python(adapter.dump_python(configs, mode="json")) == configs


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filter": "gopher"}, "gopher"),
        ({"filter": "length", "min_words": 5, "max_words": 4}, "nothing can pass"),
        ({"filter": "character_classes"}, "at least one limit"),
        ({"filter": "pattern", "pattern": "(?=look)ahead"}, "RE2"),
        ({"filter": "pattern", "pattern": "(("}, "RE2"),
        ({"filter": "language", "keep": ["xx"]}, "py3langid"),
        ({"filter": "c4", "dropped_line_phrases": ["JavaScript"]}, "lower case"),
    ],
)
def test_a_wrong_config_is_refused_with_what_is_wrong(wrong, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(FilterConfig).validate_python(wrong)


def test_length_counts_words_without_marks():
    assert reasons([LengthFilterConfig(min_words=3)], ["one, two!", "one, two, 3"]) == ["length.too_few_words", ""]
    assert reasons([LengthFilterConfig(max_characters=3)], ["abc", "abcd"]) == ["", "length.too_many_characters"]


def test_character_classes_are_shares_without_white_space():
    config = CharacterClassesConfig(least={"letters": 0.5}, most={"digits": 0.5, "capitals": 0.5})
    assert reasons([config], ["ab 12", "a 123", "ABc", "AbCd", "!!a"]) == [
        "",
        "character_classes.too_few_letters",
        "character_classes.too_many_capitals",
        "",
        "character_classes.too_few_letters",
    ]


@pytest.mark.feature("CORP-06")
def test_language_keeps_some_and_corrects_tags():
    chain = FilterChain([LanguageFilterConfig(keep=("en",), retag=True)])
    english, german = chain.judge([ENGLISH, GERMAN], ["de", "en"])
    assert (english.reason, english.language, english.changed) == ("", "en", ("language",))
    assert german.reason == "language.other"
    assert chain.judge([ENGLISH], ["en-GB"])[0].language == ""


@pytest.mark.feature("CORP-09")
def test_toxicity_drops_offensive_texts_alone():
    insult = "You are a stupid fucking idiot and a worthless piece of shit."
    texts = [ENGLISH, insult, ENGLISH * 30 + insult, ""]
    assert reasons([ToxicityFilterConfig()], texts) == ["", "toxicity.offensive", "", ""]


def test_a_pattern_takes_linear_time():
    config = PatternFilterConfig(pattern="(a+)+b|(x*)*y")
    started = time.process_time()
    assert reasons([config], ["a" * 5_000_000, "caaab"]) == ["", "pattern.pattern"]
    assert time.process_time() - started < 5


def test_a_pattern_can_keep_texts_and_count_matches():
    config = PatternFilterConfig(pattern="cat", texts_with_it="keep", min_matches=2, name="cats")
    assert reasons([config], ["cat cat", "cat", "\ud800 cat cat"]) == ["", "pattern.cats", ""]
