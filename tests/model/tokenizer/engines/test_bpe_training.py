"""The compiled trainer learns exactly what `tokenizers`' own trainer learns."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model.errors import TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.engines import bpe_training
from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.training import train_tokenizer

RULES = [("gpt2",), ("gpt4",), ("whitespace",), ("digits", "gpt4"), ()]


def library(texts, rules, vocab_size, min_frequency):
    """`tokenizers` trained on the same texts."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizer(rules)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


@pytest.mark.feature("TOK-01", "TOK-15")
@settings(deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab c1'\nBé日🙂\u0301.", max_size=200), min_size=1, max_size=8),
    rules=st.sampled_from(RULES),
    vocab_size=st.integers(260, 600),
    min_frequency=st.integers(1, 4),
)
def test_files_equal_those_of_the_library_for_any_texts(texts, rules, vocab_size, min_frequency):
    theirs = library(texts, rules, vocab_size, min_frequency)
    config = TokenizerConfig(vocab_size=theirs.get_vocab_size(), min_frequency=min_frequency, pre_tokenization=rules)
    assert train_tokenizer(texts, config).content == theirs.to_str(pretty=True)


@pytest.mark.parametrize("rules", RULES)
def test_files_equal_on_sentences(rules, toy_texts):
    theirs = library(toy_texts, rules, 1000, 2)
    config = TokenizerConfig(vocab_size=theirs.get_vocab_size(), pre_tokenization=rules)
    assert train_tokenizer(toy_texts, config).content == theirs.to_str(pretty=True)


@pytest.mark.parametrize("seed", range(4))
def test_files_equal_where_words_are_long_and_letters_few(seed):
    """Here merges meet that make the same text, and pairs that overlap themselves."""
    draw = random.Random(seed)
    texts = [" ".join("".join(draw.choices("aab", k=draw.randint(1, 60))) for _ in range(80)) for _ in range(5)]
    theirs = library(texts, ("whitespace",), 900, 2)
    config = TokenizerConfig(vocab_size=theirs.get_vocab_size(), pre_tokenization=("whitespace",))
    assert train_tokenizer(texts, config).content == theirs.to_str(pretty=True)


def test_texts_cut_into_batches_give_the_same_counts(monkeypatch, toy_texts):
    whole = bpe_training.count_words_by_rule(toy_texts, "gpt4")
    monkeypatch.setattr(bpe_training, "BATCH_BYTES", 100)
    cut = bpe_training.count_words_by_rule(toy_texts, "gpt4")
    assert (whole.text.tobytes(), whole.counts.tolist()) == (cut.text.tobytes(), cut.counts.tolist())


def test_many_different_words_make_the_table_grow():
    texts = [" ".join(f"w{number:x}" for number in range(120_000))]
    words = bpe_training.count_words_by_rule(texts, "gpt2")
    assert words.counts.sum() >= 120_000
    assert len(set(zip(words.starts.tolist(), words.lengths.tolist(), strict=True))) == len(words.starts)


@pytest.mark.parametrize("rule", ["gpt2", "gpt4"])
@given(text=st.one_of(st.text(), st.text(alphabet=st.sampled_from("aZ1'sſ \n\r\t.\u00a0\u2028é日"))))
def test_words_are_those_of_the_library(rule, text):
    from collections import Counter

    words = bpe_training.count_words_by_rule([text], rule)
    found = {
        words.text[start : start + length].tobytes(): count
        for start, length, count in zip(words.starts, words.lengths, words.counts.tolist(), strict=True)
    }
    by_library = bpe_training.count_words_by_chain([text], pre_tokenizer((rule,)), None)
    expected = Counter()
    for start, length, count in zip(by_library.starts, by_library.lengths, by_library.counts.tolist(), strict=True):
        expected[by_library.text[start : start + length].tobytes()] += count
    assert found == expected


def test_half_a_surrogate_pair_in_the_training_text_is_named():
    with pytest.raises(TokenizerError, match=r"U\+D83D, half of a surrogate pair"):
        train_tokenizer(["fine", "ab\ud83d"], TokenizerConfig(vocab_size=260))
