"""Train a vocabulary of any kind from a stream of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from model.errors import TokenizerError
from model.tokenizer.config import Kind, TokenizerConfig
from model.tokenizer.kinds import bpe, characters, unigram, wordpiece
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer

KINDS: dict[Kind, Callable[[Iterable[str], TokenizerConfig], Any]] = {
    "bpe": bpe.train,
    "unigram": unigram.train,
    "wordpiece": wordpiece.train,
    "char": characters.train_characters,
    "byte": characters.train_bytes,
}


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Learn a vocabulary from texts, read once; memory grows with the number of different words only.

    `config.vocab_size` is the most; a text with fewer different pairs gives a smaller vocabulary.

    The four control tokens have the first ids, the 256 bytes the next, learned tokens follow. The result depends on
    the texts and the config alone, not on threads (counts are exact and ties have an order). With no normalization any
    text comes back unchanged, whatever the kind.

    Raises:
        TokenizerError: A text holds half of a surrogate pair, or a regular expression of the rules is wrong.
    """
    try:
        trained = KINDS[config.kind](_limited(texts, config.max_training_characters), config)
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"training text: character {error.start} of a document is U+{ord(error.object[error.start]):04X}, "
            "half of a surrogate pair, expected Unicode characters; clean the text first"
        ) from error
    trained.add_special_tokens(list(SPECIAL_TOKENS))
    return Tokenizer(trained.to_str(pretty=True), inner=trained)


def _limited(texts: Iterable[str], limit: int | None) -> Iterator[str]:
    """The texts up to the first that reaches `limit` characters."""
    read = 0
    for text in texts:
        yield text
        read += len(text)
        if limit is not None and read >= limit:
            return
