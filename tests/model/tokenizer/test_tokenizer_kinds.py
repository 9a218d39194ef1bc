"""Every kind gives any text back, opens in Hugging Face with the same ids, and never turns text into control tokens."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.config import RegexRule, TokenizerConfig
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

SIZES = {"bpe": 600, "unigram": 420, "wordpiece": 900, "char": 300, "byte": 260}
KINDS = tuple(SIZES)
ANY_TEXT = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|", "|>", "pad", " ", "\u203f", "##", "<0x41>", "▁"])).map("".join),
    st.lists(st.sampled_from(["the ", "日本", "🙂", "e\u0301", "\r\n", "  ", "\x00", "12,345", "'ll"])).map("".join),
)


@cache
def tokenizer_of(kind, rules=("gpt4",)):
    """The words of control tokens are frequent here, so that a trainer that could would learn them."""
    texts = [toy_text(index) for index in range(20)]
    texts += [" ".join(SPECIAL_TOKENS) * 30, "".join(SPECIAL_TOKENS) * 30]
    return train_tokenizer(texts, TokenizerConfig(kind=kind, vocab_size=SIZES[kind], pre_tokenization=rules))


@cache
def opened_elsewhere(kind, folder):
    from transformers import AutoTokenizer

    tokenizer_of(kind).save(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.feature("TOK-02")
@pytest.mark.parametrize("kind", KINDS)
@given(text=ANY_TEXT)
@example(text="")
@example(text="x" * 1000)
def test_any_text_comes_back_unchanged(kind, text):
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rules", [("gpt4",), ("whitespace",), ()])
@given(text=ANY_TEXT)
@example(text="<|endoftext|>")
@example(text=" <|im_start|>")
def test_text_never_becomes_a_control_token_even_if_training_text_is_full_of_them(kind, rules, text):
    tokenizer = tokenizer_of(kind, rules)
    ids = tokenizer.encode(text)
    assert not set(ids) & set(tokenizer.special_tokens.values())
    assert tokenizer.decode(ids) == text


@pytest.mark.feature("TOK-02", "TOK-14")
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_every_kind_with_the_same_ids(kind, tmp_path_factory, toy_texts):
    own = tokenizer_of(kind)
    theirs = opened_elsewhere(kind, tmp_path_factory.mktemp(kind))
    assert len(theirs) == own.vocab_size
    assert (theirs.bos_token_id, theirs.pad_token_id) == (0, 1)
    for text in [*toy_texts[:5], "", " a  b\r\n\n\tc ", "🙂 naïve 日本 \x00 <|pad|> ##"]:
        assert theirs(text, split_special_tokens=True)["input_ids"] == own.encode(text)
        assert theirs.decode(own.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_opening_keep_the_digest_and_the_ids(kind, tmp_path):
    tokenizer_of(kind).save(tmp_path)
    opened = Tokenizer.open(tmp_path)
    assert opened.digest == tokenizer_of(kind).digest
    assert opened.encode("the theory, 日本") == tokenizer_of(kind).encode("the theory, 日本")
    assert opened.special_tokens == dict(zip(SPECIAL_TOKENS, range(4), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_file(kind, toy_texts):
    config = TokenizerConfig(kind=kind, vocab_size=SIZES[kind])
    assert train_tokenizer(toy_texts, config).content == train_tokenizer(iter(toy_texts), config).content


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "char"])
def test_learned_vocabularies_make_texts_shorter_than_bytes(kind, toy_texts):
    tokenizer = tokenizer_of(kind)
    text = "".join(toy_texts[:10])
    assert len(tokenizer.encode(text)) < len(text.encode()) / (2 if kind != "char" else 0.99)


def test_characters_are_chosen_by_frequency_and_others_are_bytes():
    tokenizer = train_tokenizer(["aaaa bbb żż 日"], TokenizerConfig(kind="char", vocab_size=263))
    assert [tokenizer.token_bytes(i) for i in range(260, 263)] == [b"a", b" ", b"b"]
    assert tokenizer.encode("日a") == [*(4 + byte for byte in "日".encode()), 260]
    assert tokenizer.decode(tokenizer.encode("日a")) == "日a"


def test_bytes_are_ids_from_four_on_in_the_order_of_their_stand_ins():
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    assert tokenizer.vocab_size == 260
    assert sorted(tokenizer.token_bytes(i) for i in range(4, 260)) == [bytes([byte]) for byte in range(256)]


def test_word_pieces_are_the_longest_that_fit():
    texts = ["unwanted running unaffable " * 20, "want run able aff " * 20]
    tokenizer = train_tokenizer(texts, TokenizerConfig(kind="wordpiece", vocab_size=535))
    starts = {tokenizer.token_bytes(i) for i in range(4, 535) if "\u203f" not in names(tokenizer)[i]}
    inside = {tokenizer.token_bytes(i) for i in range(4, 535) if "\u203f" in names(tokenizer)[i]}
    word = b" unaffable"
    at, expected = 0, []
    while at < len(word):
        known = starts if at == 0 else inside
        piece = max((word[at:end] for end in range(at + 1, len(word) + 1) if word[at:end] in known), key=len)
        expected.append(piece)
        at += len(piece)
    assert [tokenizer.token_bytes(i) for i in tokenizer.encode(word.decode())] == expected


def names(tokenizer):
    return {i: name for name, i in json.loads(tokenizer.content)["model"]["vocab"].items()}


def test_unigram_expected_counts_equal_the_enumeration_of_every_segmentation():
    from itertools import pairwise, product

    from model.tokenizer.engines.unigram_kernels import expected_counts
    from model.tokenizer.kinds.unigram import _table

    pieces = [b"a", b"b", b"ab", b"ba", b"aba", b"abab"]
    scores = np.log(np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1]))
    words, times = [b"abab", b"ba", b"aabba"], [3, 5, 2]
    expected = np.zeros(len(pieces))
    for word, count in zip(words, times, strict=True):
        found = []
        for cuts in product([0, 1], repeat=len(word) - 1):
            borders = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(word)]
            parts = [word[a:b] for a, b in pairwise(borders)]
            if all(part in pieces for part in parts):
                numbers = [pieces.index(part) for part in parts]
                found.append((math.exp(scores[numbers].sum()), numbers))
        for weight, numbers in found:
            np.add.at(expected, numbers, count * weight / sum(w for w, _ in found))
    lengths = np.array([len(word) for word in words], np.int32)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    text = np.frombuffer(b"".join(words), np.uint8)
    assert expected_counts(text, starts, lengths, np.array(times), *_table(pieces), scores) == pytest.approx(expected)


def test_unigram_probabilities_make_a_distribution_and_prefer_what_is_frequent(toy_texts):
    rows = json.loads(tokenizer_of("unigram").content)["model"]["vocab"][4:]
    assert sum(math.exp(score) for _, score in rows) < 1.01
    learned = [score for _, score in rows[256:]]
    assert learned == sorted(learned, reverse=True)


def test_unigram_ids_are_the_likeliest_segmentation_by_brute_force():
    tokenizer = tokenizer_of("unigram")
    rows = json.loads(tokenizer.content)["model"]["vocab"]
    score = {tokenizer.token_bytes(i): rows[i][1] for i in range(4, len(rows))}
    for word in (b" theory", b" the", b"abandon", b" governments"):
        best = [0.0] + [-math.inf] * len(word)
        for end in range(1, len(word) + 1):
            for start in range(end):
                if word[start:end] in score:
                    best[end] = max(best[end], best[start] + score[word[start:end]])
        ids = tokenizer.encode(word.decode())
        assert sum(score[tokenizer.token_bytes(i)] for i in ids) == pytest.approx(best[-1], abs=1e-5)


def test_kinds_without_room_or_rules_that_do_not_compile_are_refused(toy_texts):
    with pytest.raises(ValidationError, match="at least 516"):
        TokenizerConfig(kind="wordpiece", vocab_size=515)
    with pytest.raises(ValidationError):
        TokenizerConfig(kind="words")
    with pytest.raises(TokenizerError, match="does not compile"):
        train_tokenizer(toy_texts, TokenizerConfig(vocab_size=300, pre_tokenization=(RegexRule(regex="(a"),)))


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "char", "byte"])
def test_a_small_text_gives_a_smaller_vocabulary_of_every_kind_and_comes_back_unchanged(kind):
    tokenizer = train_tokenizer(["a b c"], TokenizerConfig(kind=kind, vocab_size=5000))
    assert 260 <= tokenizer.vocab_size < 600
    assert tokenizer.decode(tokenizer.encode("c b a, é")) == "c b a, é"


@pytest.mark.parametrize(
    ("names_", "text", "expected"),
    [
        (("nfkc",), "ﬁne ² Ａ", "fine 2 A"),
        (("lowercase",), "ÀB", "àb"),
        (("nfd", "strip_accents"), "naïve", "naive"),
        (("nfc",), "e\u0301", "é"),
    ],
)
@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_normalized_texts_decode_to_their_normal_form(kind, names_, text, expected, toy_texts):
    config = TokenizerConfig(kind=kind, vocab_size=300, normalization=names_)
    tokenizer = train_tokenizer(toy_texts, config)
    assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalized(text) == expected


def test_the_earlier_spelling_of_the_rule_still_works():
    assert TokenizerConfig.model_validate({"pattern": "gpt2"}) == TokenizerConfig(pre_tokenization=("gpt2",))
