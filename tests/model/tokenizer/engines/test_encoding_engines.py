# ruff: noqa: E501  (a table of awkward characters)
"""Every engine gives the ids that Hugging Face `tokenizers` gives, on anything."""

from __future__ import annotations

import itertools
import json
import random
import threading
from functools import cache

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from small_tokenizers import PATTERNS, small_tokenizer

from model.tokenizer.config import TokenizerConfig
from model.tokenizer.engines import compiled as compiled_module
from model.tokenizer.engines.byte_pairs import recognised
from model.tokenizer.engines.character_classes import character_classes, measured_classes
from model.tokenizer.engines.compiled import CompiledEngine
from model.tokenizer.engines.engine import BATTERY, choose_engine
from model.tokenizer.engines.hugging_face import HuggingFaceEngine
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

ENGINES = ("compiled", "gigatoken")
FRAGMENTS = [
    "a", "Word", "'ll", "'", "'RE", "'ſ", "12", "3456", "é", "日本", "🙂", "_", "e\u0301", " ", "  ", "\n", "\r\n", "\t",
    ".", ", ", "?!", "\u2028", "\u00a0", "\x00", "\x1c", "\x85", "٣", "Ⅷ", "ก็", "नि", "\u200d", "👩‍👩‍👧", "'D", "’s",
    "\u0301", "K", "ß", "ŉ", " \n ", "\u088f", "\U00010940", "\U000323b0", "\u1680", "\u3000", "\ufeff", *SPECIAL_TOKENS,
]  # fmt: skip
ANY_TEXT = st.one_of(
    st.text(),
    st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join),
    st.lists(st.one_of(st.text(max_size=3), st.sampled_from(FRAGMENTS))).map("".join),
)


@cache
def reference(pattern):
    """The library itself, told to see no control tokens."""
    inner = tokenizers.Tokenizer.from_str(small_tokenizer(pattern).content)
    inner.encode_special_tokens = True
    return inner


@cache
def engine(name, pattern):
    settings = json.loads(small_tokenizer(pattern).content)
    inner = reference(pattern)
    model = recognised(settings)
    assert model is not None
    own = CompiledEngine(model, HuggingFaceEngine(settings, inner))
    own._seen = compiled_module.CHARACTERS_UNTIL_LOADED
    if name == "compiled":
        return own
    pytest.importorskip("gigatoken")
    from model.tokenizer.engines.giga import giga_engine

    found = giga_engine(model, settings, otherwise=own)
    if found is None:
        pytest.skip("this version of gigatoken has not been compared")
    return found


def expected(pattern, text):
    return reference(pattern).encode(text, add_special_tokens=False).ids


@pytest.mark.feature("TOK-14")
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=ANY_TEXT)
@example(text="It's 12345 o'clock;\r\n\r\n  the sailors'll go  ")
@example(text="a\u088fb \U000323b0\U000323b0 1\U00010940")
def test_ids_equal_those_of_the_library_for_any_text(name, pattern, text):
    assert engine(name, pattern).encode(text).tolist() == expected(pattern, text)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_equal_in_batches_of_many_random_texts(name, pattern):
    draw = random.Random(1)
    texts = ["".join(draw.choices(FRAGMENTS, k=draw.randint(0, 40))) for _ in range(3000)]
    found = engine(name, pattern).encode_batch(texts)
    assert [ids.tolist() for ids in found] == [expected(pattern, text) for text in texts]
    assert all(ids.dtype == np.uint32 for ids in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("frame", ["a{0}b1{0}2 {0} {0}a\n{0}'s.{0}", "{0}{0}\n "])
def test_ids_equal_for_every_character_there_is(name, pattern, frame):
    texts = [frame.format(chr(point)) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    for start in range(0, len(texts), 50_000):
        part = texts[start : start + 50_000]
        theirs = reference(pattern).encode_batch_fast(part, add_special_tokens=False)
        ours = engine(name, pattern).encode_batch(part)
        assert [text for text, a, b in zip(part, ours, theirs, strict=True) if a.tolist() != b.ids] == []


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("unit", ["a", "ab", " ", "\n", " \n", "1", "é", "日", "'", "the"])
def test_ids_equal_for_words_of_a_hundred_thousand_characters(name, pattern, unit):
    text = unit * (100_000 // len(unit))
    assert engine(name, pattern).encode(text).tolist() == expected(pattern, text)


@pytest.mark.slow
def test_a_word_of_a_megabyte_takes_a_moment():
    text = "".join(random.Random(2).choices("abcdefgh", k=1_000_000))
    assert engine("compiled", "gpt4").encode(text).tolist() == expected("gpt4", text)


def test_a_table_that_is_full_is_replaced_and_the_ids_stay_right(monkeypatch):
    monkeypatch.setattr(compiled_module, "SMALLEST_TABLE", 64)
    monkeypatch.setattr(compiled_module, "LARGEST_TABLE", 128)
    engine.cache_clear()
    small = engine("compiled", "gpt4")
    engine.cache_clear()
    draw = random.Random(3)
    texts = ["".join(draw.choices("abc de日", k=400)) for _ in range(50)]
    for _ in range(2):
        assert [ids.tolist() for ids in small.encode_batch(texts)] == [expected("gpt4", text) for text in texts]


@pytest.mark.parametrize("name", ENGINES)
def test_many_threads_get_the_same_ids(name):
    draw = random.Random(4)
    texts = ["".join(draw.choices(FRAGMENTS, k=300)) for _ in range(40)]
    right = [expected("gpt4", text) for text in texts]
    used = engine(name, "gpt4")
    wrong = []

    def work():
        for text, ids in zip(texts, right, strict=True):
            if used.encode(text).tolist() != ids:
                wrong.append(text)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.slow
def test_the_stored_classes_of_characters_are_those_of_the_library():
    assert np.array_equal(character_classes(), measured_classes())


def test_an_engine_that_gives_other_ids_is_left_out_with_a_line_in_the_log(monkeypatch, caplog):
    settings = json.loads(small_tokenizer().content)
    monkeypatch.setattr("model.tokenizer.engines.giga.COMPARED_VERSIONS", ())
    monkeypatch.setattr(
        "model.tokenizer.engines.compiled.CompiledEngine.encode_batch",
        lambda self, texts: [np.zeros(1, np.uint32) for _ in texts],
    )
    chosen = choose_engine(settings, reference("gpt4"))
    assert chosen.name == "tokenizers"
    assert "compiled left out" in caplog.text
    assert [ids.tolist() for ids in chosen.encode_batch(BATTERY)] == [expected("gpt4", text) for text in BATTERY]


def test_settings_that_no_fast_engine_knows_go_to_the_library():
    content = json.loads(small_tokenizer().content)
    for change in (
        {"normalizer": {"type": "NFC"}},
        {"model": {**content["model"], "ignore_merges": True}},
        {"model": {**content["model"], "dropout": 0.1}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
    ):
        assert recognised({**content, **change}) is None
    assert recognised(content) is not None


def with_added(*tokens, **options):
    """The small tokenizer with tokens that text may become, as `tokenizers` adds them."""
    inner = tokenizers.Tokenizer.from_str(small_tokenizer().content)
    inner.add_tokens([tokenizers.AddedToken(token, special=False, **options) for token in tokens])
    return inner


@given(text=st.lists(st.sampled_from(["xyz", "xy", "z ", "x", "yz", "<|pad|>", " ", "a", "<tag>", "tag"])).map("".join))
def test_added_tokens_are_found_as_the_library_finds_them(text):
    inner = with_added("xyz", "xy", "<tag>", " z")
    tokenizer = Tokenizer(inner.to_str())
    inner.encode_special_tokens = True
    assert tokenizer.encode(text) == inner.encode(text, add_special_tokens=False).ids
    assert not set(tokenizer.encode(text)) & set(tokenizer.special_tokens.values())
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_added_tokens_with_conditions_are_left_to_the_library():
    inner = with_added("xyz", single_word=True)
    tokenizer = Tokenizer(inner.to_str())
    assert tokenizer.engine.name == "tokenizers"
    assert tokenizer.encode("axyzb xyz") == inner.encode("axyzb xyz", add_special_tokens=False).ids


@pytest.mark.parametrize("kind", ["char", "byte"])
@given(text=ANY_TEXT)
def test_characters_and_bytes_have_the_ids_of_the_library(kind, text):
    tokenizer = _by_look_up(kind)
    assert tokenizer.engine.name != "tokenizers"
    inner = tokenizers.Tokenizer.from_str(tokenizer.content)
    inner.encode_special_tokens = True
    assert tokenizer.encode(text) == inner.encode(text, add_special_tokens=False).ids


@cache
def _by_look_up(kind):
    return train_tokenizer(["abc déf 日本 <|pad|> " * 3], TokenizerConfig(kind=kind, vocab_size=300))


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=8))
@example(["", "\u088f", "It's 2026."])
@example([])
def test_flat_ids_are_those_of_the_texts_end_to_end(texts):
    tokenizer = small_tokenizer("gpt4")
    ids, borders = tokenizer.encode_flat(texts)
    found = [ids[start:stop].tolist() for start, stop in itertools.pairwise(borders)]
    assert found == [tokenizer.encode(text) for text in texts]
