"""Editing tokenizers of other kinds and with other rules than the usual ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.editing.add import add_special, add_words
from model.tokenizer.editing.continuation import continue_training
from model.tokenizer.editing.prune import prune
from model.tokenizer.statistics import measure
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

OTHER_KINDS = {"unigram": 450, "wordpiece": 600, "char": 320, "byte": 260}
RULES: list[dict[str, Any]] = [
    {"pre_tokenization": ("gpt4", "digits")},
    {"pre_tokenization": ("whitespace",)},
    {"pre_tokenization": ("scientific", "latex", "gpt2")},
    {"pre_tokenization": ("biomedical", "code")},
    {"pre_tokenization": ("gpt4",), "normalization": ("nfc", "lowercase")},
]


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    return train_tokenizer([toy_text(i) for i in range(20)], TokenizerConfig(kind=kind, vocab_size=OTHER_KINDS[kind]))


@cache
def tokenizer_with(number: int) -> Tokenizer:
    return train_tokenizer([toy_text(i) for i in range(20)], TokenizerConfig(vocab_size=500, **RULES[number]))


@pytest.mark.feature("TOK-02")
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_editing_that_makes_no_sense_for_a_kind_is_refused_in_one_line(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    for edit in (
        lambda: prune(tokenizer, [0] * tokenizer.vocab_size, 300),
        lambda: add_words(tokenizer, ["word"]),
        lambda: continue_training(tokenizer, ["a text"], 3),
    ):
        with pytest.raises(TokenizerError, match="expected BPE") as caught:
            edit()
        assert "\n" not in str(caught.value)


@pytest.mark.feature("TOK-06")
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_control_tokens_are_added_to_every_kind(kind: str) -> None:
    old = tokenizer_of(kind)
    new = add_special(old, ["<|image_0|>", "<|image_1|>"]).new
    assert new.vocab_size == old.vocab_size + 2
    assert new.special_tokens["<|image_1|>"] == old.vocab_size + 1
    opened = tokenizers.Tokenizer.from_str(new.content)
    assert opened.token_to_id("<|image_1|>") == old.vocab_size + 1
    opened.encode_special_tokens = True
    text = "the farmer <|image_0|> é 日"
    assert new.encode(text) == old.encode(text) == opened.encode(text, add_special_tokens=False).ids


@pytest.mark.feature("TOK-07")
@pytest.mark.feature("TOK-03")
@pytest.mark.parametrize("number", range(len(RULES)))
@given(st.text() | st.sampled_from([toy_text(50), "Übermut 1234567 \\alpha 1.5e-7 |: GAB c2d :|"]))
def test_edits_keep_to_the_rules_of_the_tokenizer(number: int, text: str) -> None:
    old = tokenizer_with(number)
    new_texts = [toy_text(i).upper() + " 12345 12345 naïve naïve" for i in range(30, 34)]
    edit = _continued(number, tuple(new_texts))
    ids = edit.new.encode(text)
    flat = [piece for i in ids for piece in ([i] if i < old.vocab_size else edit.pieces[i - old.vocab_size])]
    assert flat == old.encode(text)
    opened = tokenizers.Tokenizer.from_str(edit.new.content)
    opened.encode_special_tokens = True
    assert opened.encode(text, add_special_tokens=False).ids == ids


@cache
def _continued(number: int, texts: tuple[str, ...]) -> Any:
    return continue_training(tokenizer_with(number), texts, 20)


@pytest.mark.feature("TOK-05")
def test_edits_follow_each_other() -> None:
    """Control tokens, then words, then more training, then pruning: each opens in Hugging Face with equal ids."""
    tokenizer = add_special(small_tokenizer(), ["<|image_0|>"]).new
    tokenizer = add_words(tokenizer, [" hydroxychloroquine"]).new
    tokenizer = continue_training(tokenizer, [toy_text(i) for i in range(30, 50)], 30).new
    edit = prune(tokenizer, measure(tokenizer, [toy_text(31)]).uses, 450)
    assert edit.new.special_tokens["<|image_0|>"] == edit.new_ids()[600]
    opened = tokenizers.Tokenizer.from_str(edit.new.content)
    opened.encode_special_tokens = True
    for text in (toy_text(31), "hydroxychloroquine <|image_0|>"):
        assert edit.new.encode(text) == opened.encode(text, add_special_tokens=False).ids
        assert edit.new.decode(edit.new.encode(text)) == text
