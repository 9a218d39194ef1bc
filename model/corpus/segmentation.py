"""Texts cut once into words, lines and paragraphs, as arrays that all filters and MinHash share.

Words are cut by the rules of spaCy's English tokenizer (spacy.io/usage/linguistic-features#how-tokenizer-works), the
one that the published filters are run with: white space separates; then exceptions, prefixes, suffixes, addresses and
marks between letters, in that order. White space itself is no word. On English text all but about one word in ten
thousand come out the same; `benchmarks/corpus_filters.py` counts them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.corpus.segmentation_kernels import cut_words, hash_words
from model.corpus.segmentation_line_kernels import cut_lines, cut_paragraphs
from model.corpus.segmentation_tables import hash_of, tables

WORD, NUMBER, MARK = 0, 1, 2


@dataclass(frozen=True)
class Pieces:
    """Lines or paragraphs of several texts.

    Attributes:
        starts: (n_pieces,) int64, positions in `Segmented.characters`.
        ends: (n_pieces,) int64.
        hashes: (n_pieces,) uint64.
        of_text: (n_texts + 1,) int64; text i has the pieces of_text[i] to of_text[i + 1].
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    of_text: NDArray[np.int64]


@dataclass(frozen=True)
class Segmented:
    """Several texts and their words.

    Hashes depend on the code points alone, so that they can be stored and compared across runs and machines.

    Attributes:
        characters: (n_characters,) uint32, code points of all texts end to end; lone surrogates are kept.
        text_starts: (n_texts + 1,) int64; text i is characters[text_starts[i]:text_starts[i + 1]].
        word_starts: (n_words,) int64, positions in `characters`.
        word_ends: (n_words,) int64.
        word_hashes: (n_words,) uint64, of the word as written.
        lower_hashes: (n_words,) uint64, of the word in lower case, one code point to one.
        word_kinds: (n_words,) uint8: 0 has a letter, 1 has digits but no letter, 2 has neither.
        words_of_text: (n_texts + 1,) int64; text i has the words words_of_text[i] to words_of_text[i + 1].
    """

    characters: NDArray[np.uint32]
    text_starts: NDArray[np.int64]
    word_starts: NDArray[np.int64]
    word_ends: NDArray[np.int64]
    word_hashes: NDArray[np.uint64]
    lower_hashes: NDArray[np.uint64]
    word_kinds: NDArray[np.uint8]
    words_of_text: NDArray[np.int64]

    @property
    def n_texts(self) -> int:
        """How many texts there are."""
        return len(self.text_starts) - 1

    @property
    def n_words(self) -> NDArray[np.int64]:
        """Words of each text: (n_texts,) int64."""
        return np.diff(self.words_of_text)

    @functools.cached_property
    def lines(self) -> Pieces:
        r"""The lines of each text, cut at `\n` alone as `str.split` does: an empty text has one empty line."""
        return _lines(self.characters, self.text_starts)

    @functools.cached_property
    def paragraphs(self) -> Pieces:
        """The paragraphs of each text without the white space around it, cut at runs of two line feeds and more."""
        size = len(self.characters) // 2 + self.n_texts
        pieces = _pieces(size, self.n_texts)
        n = cut_paragraphs(
            self.characters,
            self.text_starts,
            tables().flags,
            pieces.starts,
            pieces.ends,
            pieces.hashes,
            pieces.of_text,
        )
        return _first(pieces, n)

    def words(self, text: int) -> list[str]:
        """The words of one text as strings; for people and tests."""
        first, last = self.words_of_text[text], self.words_of_text[text + 1]
        return [self.string(self.word_starts[i], self.word_ends[i]) for i in range(first, last)]

    def string(self, start: int, end: int) -> str:
        """The characters in [start, end)."""
        return self.characters[start:end].tobytes().decode("utf-32-le", "surrogatepass")


def segment(texts: Sequence[str]) -> Segmented:
    """Cut texts into words; in time and memory linear in their length, whatever they hold.

    Args:
        texts: Any texts, empty ones and lone surrogates included. All are held as four bytes a character at once, so
            give batches of some megabytes.
    """
    characters, text_starts = _code_points(texts)
    # One word more than there are characters is the most there can be; pages never written cost no memory.
    starts, ends = np.empty(len(characters) + 1, np.int64), np.empty(len(characters) + 1, np.int64)
    words_of_text = np.empty(len(text_starts), np.int64)
    table = tables()
    n = cut_words(
        characters,
        text_starts,
        table.flags,
        table.keys,
        table.cuts,
        table.shapes,
        table.units,
        starts,
        ends,
        words_of_text,
    )
    starts, ends = starts[:n], ends[:n]
    hashes, lower_hashes, kinds = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint8)
    hash_words(characters, table.flags, table.lower, starts, ends, hashes, lower_hashes, kinds)
    return Segmented(characters, text_starts, starts, ends, hashes, lower_hashes, kinds, words_of_text)


def text_lines(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Pieces]:
    """The characters of texts and their lines, without words."""
    characters, text_starts = _code_points(texts)
    return characters, _lines(characters, text_starts)


def word_hash(word: str) -> int:
    """The value that `Segmented.word_hashes` has for a word."""
    value = hash_of(word)
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 31


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    text_starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=text_starts[1:])
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32), text_starts


def _lines(characters: NDArray[np.uint32], text_starts: NDArray[np.int64]) -> Pieces:
    n_texts = len(text_starts) - 1
    pieces = _pieces(len(characters) + n_texts, n_texts)
    n = cut_lines(characters, text_starts, pieces.starts, pieces.ends, pieces.hashes, pieces.of_text)
    return _first(pieces, n)


def _pieces(size: int, n_texts: int) -> Pieces:
    return Pieces(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64), np.empty(n_texts + 1, np.int64)
    )


def _first(pieces: Pieces, n: int) -> Pieces:
    return Pieces(pieces.starts[:n], pieces.ends[:n], pieces.hashes[:n], pieces.of_text)
