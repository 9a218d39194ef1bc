"""Texts longer than every internal border: ids and merges as Hugging Face's, for every rule and chain."""

from __future__ import annotations

import random

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from model.tokenizer.config import TokenizerConfig
from model.tokenizer.engines.bpe_training import count_words_by_chain
from model.tokenizer.pretokenization import PIECE_CHARACTERS, pre_tokenizer
from model.tokenizer.rules import CUTTING, KEEPING
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

pytestmark = pytest.mark.feature("TOK-01")
WORDS = [
    "budget,", "x1.", "(a)", "don't", "3.14", "--", "word", "Straße", "e.g.,", "[12]", "foo_bar", "100%", "\u00a0",
    "\n", "\t", "IL-2,", "\\alpha.", "camelCase;", "1,000.5", "a.b:c", "!x!",
]  # fmt: skip
CHAINS: dict[str, list[object]] = {
    **{rule: [rule] for rule in CUTTING},
    **{f"{kept} then {rule}": [kept, rule] for kept in KEEPING for rule in ("gpt2", "whitespace", "code")},
    "digits then gpt2": ["digits", "gpt2"],
    "whitespace then gpt4": ["whitespace", "gpt4"],
    "whitespace then digits": ["whitespace", "digits"],
    "three of one's own": [{"regex": r"\s+"}, {"regex": r"[.,]+\w?"}, {"regex": r"\d+"}],
    "one's own then gpt2": [{"regex": r"\w+[.,]"}, "gpt2"],
}


def long_text(characters: int = 2 * PIECE_CHARACTERS + 5_000) -> str:
    """Words with digits and punctuation side by side, so that a wrong border shows."""
    draw = random.Random(0)
    found: list[str] = []
    size = 0
    while size < characters:
        found.append(draw.choice(WORDS))
        size += len(found[-1]) + 1
    return " ".join(found)


def small(chain: list[object]) -> Tokenizer:
    config = TokenizerConfig.model_validate(
        {"vocab_size": 270, "pre_tokenization": chain, "min_frequency": 1, "max_training_characters": None}
    )
    return train_tokenizer([long_text(6_000)], config)


@pytest.mark.parametrize("name", CHAINS)
def test_ids_of_a_long_text_are_hugging_faces(name: str) -> None:
    tokenizer, text = small(CHAINS[name]), long_text()
    inner = tokenizers.Tokenizer.from_str(tokenizer.content)
    inner.encode_special_tokens = True
    assert tokenizer.encode(text) == inner.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", CHAINS)
def test_words_counted_in_a_long_text_are_hugging_faces(name: str) -> None:
    config = TokenizerConfig.model_validate({"vocab_size": 300, "pre_tokenization": CHAINS[name]})
    rule, text = pre_tokenizer(config.pre_tokenization), long_text()
    expected: dict[str, int] = {}
    for word, _ in rule.pre_tokenize_str(text):
        expected[word] = expected.get(word, 0) + 1
    counted = count_words_by_chain([text], rule, None)
    assert sorted(counted.counts.tolist()) == sorted(n for word, n in expected.items() if len(word) > 1)


@pytest.mark.parametrize("name", ["whitespace", "three of one's own", "gpt2"])
def test_merges_learned_from_a_long_text_are_hugging_faces(name: str) -> None:
    config = TokenizerConfig.model_validate(
        {"vocab_size": 340, "pre_tokenization": CHAINS[name], "min_frequency": 2, "max_training_characters": None}
    )
    text = long_text()
    theirs = tokenizers.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizer(config.pre_tokenization)
    theirs.train_from_iterator(
        [text],
        trainers.BpeTrainer(
            vocab_size=336, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    assert set(theirs.get_vocab()) <= set(train_tokenizer([text], config)._inner.get_vocab())
