"""What does not come back from the tokens is counted, character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.evaluation.lost_text import LostText, lost_text
from model.tokenizer.config import Normalizer, TokenizerConfig
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer


def lossy(*normalization: Normalizer) -> Tokenizer:
    return train_tokenizer(
        [toy_text(i) for i in range(5)], TokenizerConfig(vocab_size=400, normalization=normalization)
    )


def lost(tokenizer: Tokenizer, text: str) -> LostText:
    return lost_text(tokenizer, [(text, tokenizer.decode_bytes(tokenizer.encode(text)))])


@pytest.mark.parametrize(
    ("normalization", "text", "characters", "n_bytes"),
    [
        (("lowercase",), "The Story of Mr. X", 4, 4),
        (("lowercase",), "nothing to lose", 0, 0),
        (("nfd", "strip_accents"), "caf\u00e9 na\u00efve", 2, 4),
        (("nfkc",), "\ufb01ne \u2460", 2, 6),
    ],
)
def test_known_losses(normalization: tuple[Normalizer, ...], text: str, characters: int, n_bytes: int) -> None:
    found = lost(lossy(*normalization), text)
    assert (found.characters, found.bytes, found.of_bytes) == (characters, n_bytes, len(text.encode()))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_lossless_tokenizer_loses_nothing(text: str) -> None:
    assert lost(small_tokenizer(), text).characters == 0


@given(text=st.text(st.sampled_from("abcXYZ \n"), max_size=200))
def test_lower_casing_loses_each_capital(text: str) -> None:
    assert lost(lossy_once(), text).characters == sum(character.isupper() for character in text)


def lossy_once(made: list[Tokenizer] = []) -> Tokenizer:  # noqa: B006  (one for all examples)
    if not made:
        made.append(lossy("lowercase"))
    return made[0]
