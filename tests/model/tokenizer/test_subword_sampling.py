"""Subword regularization: other segmentations of the same text, from a seed, while `encode` stays as it is."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.training import train_tokenizer


@cache
def tokenizer_of(kind, rules=("gpt4",)):
    texts = [toy_text(index) for index in range(20)]
    return train_tokenizer(texts, TokenizerConfig(kind=kind, vocab_size=420, pre_tokenization=rules))


def drawn(kind, text, seed, rules=("gpt4",), **options):
    return tokenizer_of(kind, rules).sample_encode(text, np.random.default_rng(seed), **options).tolist()


@pytest.mark.feature("TOK-04")
@pytest.mark.parametrize("rules", [("gpt4",), ("code",)])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@given(text=st.text(), seed=st.integers(0, 5))
def test_a_drawn_segmentation_is_of_the_same_text_and_holds_no_control_token(kind, rules, text, seed):
    ids = drawn(kind, text, seed, rules, dropout=0.5, alpha=0.5)
    assert tokenizer_of(kind, rules).decode(ids) == text
    assert not set(ids) & {0, 1, 2, 3}


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_same_seed_draws_the_same_and_another_seed_another(kind, toy_texts):
    assert drawn(kind, toy_texts[0], 1) == drawn(kind, toy_texts[0], 1)
    assert drawn(kind, toy_texts[0], 1) != drawn(kind, toy_texts[0], 2)


def test_encoding_does_not_change_after_sampling(toy_texts):
    tokenizer = tokenizer_of("bpe")
    before = tokenizer.encode(toy_texts[0])
    drawn("bpe", toy_texts[0], 3, dropout=0.9)
    assert tokenizer.encode(toy_texts[0]) == before


def test_almost_no_dropout_is_bpe_and_almost_full_dropout_is_bytes(toy_texts):
    tokenizer = tokenizer_of("bpe")
    assert drawn("bpe", toy_texts[0], 1, dropout=1e-15) == tokenizer.encode(toy_texts[0])
    ids = drawn("bpe", toy_texts[0], 1, dropout=1 - 1e-15)
    assert [tokenizer.token_bytes(i) for i in ids] == [bytes([byte]) for byte in toy_texts[0].encode()]


def test_a_single_merge_is_dropped_as_often_as_asked():
    """`ab` has one merge: it is one token with probability 1 - dropout."""
    tokenizer = train_tokenizer(["ab ab ab"], TokenizerConfig(vocab_size=261, pre_tokenization=("whitespace",)))
    generator = np.random.default_rng(0)
    whole = sum(len(tokenizer.sample_encode("ab", generator, dropout=0.3)) == 1 for _ in range(4000))
    assert abs(whole / 4000 - 0.7) < 4 * (0.3 * 0.7 / 4000) ** 0.5


def test_unigram_draws_follow_the_probabilities_of_all_segmentations():
    """Against the enumeration of every segmentation of a short word."""
    import json
    import math
    from collections import Counter
    from itertools import product

    tokenizer = tokenizer_of("unigram")
    rows = json.loads(tokenizer.content)["model"]["vocab"]
    score = {tokenizer.token_bytes(i): rows[i][1] for i in range(4, len(rows))}
    word, alpha = b" the", 0.3
    weights = {}
    for cuts in product([0, 1], repeat=len(word) - 1):
        borders = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(word)]
        pieces = tuple(word[a:b] for a, b in pairwise(borders))
        if all(piece in score for piece in pieces):
            weights[pieces] = math.exp(alpha * sum(score[piece] for piece in pieces))
    generator = np.random.default_rng(1)
    n = 6000
    counts = Counter(
        tuple(tokenizer.token_bytes(i) for i in tokenizer.sample_encode(word.decode(), generator, alpha=alpha).tolist())
        for _ in range(n)
    )
    assert set(counts) <= set(weights)
    for pieces, weight in weights.items():
        p = weight / sum(weights.values())
        assert abs(counts[pieces] / n - p) < 5 * (p * (1 - p) / n) ** 0.5 + 1e-9


@pytest.mark.parametrize("kind", ["wordpiece", "char", "byte"])
def test_kinds_with_one_segmentation_say_so(kind, toy_texts):
    tokenizer = train_tokenizer(toy_texts, TokenizerConfig(kind=kind, vocab_size=700))
    with pytest.raises(TokenizerError, match="expected kind bpe or unigram"):
        tokenizer.sample_encode("text", np.random.default_rng(0))
