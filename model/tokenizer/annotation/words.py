"""Words and sentences with their places, and the word that each token belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.tokenizer.tokenizer import Tokenizer

_WORD = re.compile(r"\w+(?:['’.-]\w+)*|[^\w\s]")
_END = frozenset(".!?…。！？")
LONGEST_SENTENCE = 200
"""Words; a longer run without an end is cut, so that a tagger's memory stays small."""


@dataclass(frozen=True)
class Word:
    """A word, number or sign of a text.

    Attributes:
        text: As written.
        start: Place of its first character.
        end: Place after its last character.
    """

    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The words of a text in order; white space belongs to none."""
    return [Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]


def sentences(found: list[Word]) -> Iterator[list[Word]]:
    """Words up to the next full stop, question or exclamation mark, at most 200."""
    sentence: list[Word] = []
    for word in found:
        sentence.append(word)
        if word.text in _END or len(sentence) >= LONGEST_SENTENCE:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def word_of_token(tokenizer: Tokenizer, text: str, ids: list[int], found: list[Word]) -> npt.NDArray[np.int64]:
    """For each token the number of the word of its first letter or sign, -1 for white space alone: (n_tokens,).

    Args:
        tokenizer: Made the ids.
        text: The text.
        ids: `tokenizer.encode(text)`.
        found: `words(text)`.

    Raises:
        TokenizerError: The ids are not those of the text, or the tokenizer changes text (a normalizer), so that its
            tokens have no place in it.
    """
    data = text.encode("utf-8", "surrogatepass")
    lengths = np.array([len(tokenizer.token_bytes(i)) for i in ids], np.int64)
    if tokenizer.decode_bytes(ids) != data:
        raise TokenizerError("annotation: the tokens do not give the text back byte by byte; use its own, lossless ids")
    at_byte = np.full(len(data) + 1, -1, np.int64)
    starts = _byte_places(text)
    for number, word in enumerate(found):
        at_byte[starts[word.start] : starts[word.end]] = number
    owner = np.full(len(ids), -1, np.int64)
    begin = 0
    for index, length in enumerate(lengths.tolist()):
        inside = at_byte[begin : begin + length]
        seen = inside[inside >= 0]
        if len(seen):
            owner[index] = seen[0]
        begin += length
    return owner


def _byte_places(text: str) -> npt.NDArray[np.int64]:
    """Place in the UTF-8 bytes of each character, and the end."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(widths)])
