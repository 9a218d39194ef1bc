"""The words that near-duplicates and contamination are counted in, as hashes: cut coarsely, so that small things pass.

A word is a run of letters and digits of any script, in lower case, without accents; apostrophes, soft hyphens and
zero-width characters are passed over (`don't` = `dont`), everything else separates. GPT-3's n-grams are made so (Brown
et al. 2020, appendix C); datatrove's MinHash removes accents as well. In scripts without spaces every character counts
as a word. This is not `segmentation.py`'s cut, which follows spaCy for the filters: here speed and coarseness count,
and the two share the code points.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.corpus.near_duplicates.shingle_kernels import SKIPPED, UNSPACED, cut_words

N_CODE_POINTS = 0x110000
LAST_LETTER = 0x40000  # beyond are private and unassigned planes
ACCENTS = (range(0x300, 0x370), range(0x1AB0, 0x1B00), range(0x1DC0, 0x1E00), range(0x20D0, 0x2100))
UNSPACED_SCRIPTS = (  # Thai to Tibetan and Myanmar, Khmer, kana, Han
    range(0x0E00, 0x10A0), range(0x1780, 0x1800), range(0x3041, 0x3100), range(0x3400, 0xA000), range(0xF900, 0xFB00),
    range(0x20000, LAST_LETTER),
)  # fmt: skip


class CodePoints(Protocol):
    """Several texts as code points; `segmentation.Segmented` is one."""

    @property
    def characters(self) -> np.ndarray:
        """(n_characters,) uint32 (or uint8 where all are ASCII), all texts end to end."""
        ...

    @property
    def text_starts(self) -> np.ndarray:
        """(n_texts + 1,) int64."""
        ...


@dataclass(frozen=True, slots=True)
class Characters:
    """Several texts as code points and nothing more; see `CodePoints`."""

    characters: np.ndarray
    text_starts: np.ndarray


@dataclass(frozen=True, slots=True)
class Words:
    """The words of several texts.

    Attributes:
        hashes: (n_words,) uint64.
        starts: (n_texts + 1,) int64; the words of text i are `hashes[starts[i]:starts[i + 1]]`.
        spans: (n_words, 2) int64, where each word stands in the characters; (0, 2) unless it was asked for.
    """

    hashes: np.ndarray
    starts: np.ndarray
    spans: np.ndarray


def characters_of(texts: Sequence[str]) -> Characters:
    """Texts as code points, four bytes each; lone surrogates are kept.

    One byte for ASCII would be a little faster, and a second of compiling on every machine.
    """
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    return Characters(np.frombuffer(joined, np.uint32), starts)


def words_of(texts: CodePoints, *, with_spans: bool = False) -> Words:
    """Cut texts into words; linear in their characters."""
    n_characters = len(texts.characters)
    hashes = np.empty(n_characters, np.uint64)  # pages never written cost no memory
    spans = np.empty((n_characters if with_spans else 0, 2), np.int64)
    starts = np.empty(len(texts.text_starts), np.int64)
    n = cut_words(texts.characters, texts.text_starts, folded_code_points(), hashes, starts, spans)
    return Words(hashes[:n], starts, spans[:n])


@functools.cache
def folded_code_points() -> np.ndarray:
    """What each code point counts as: (1114112,) uint32; 0 separates, `SKIPPED` is passed over.

    `UNSPACED` is added to characters that are words of their own. Built once in a process, in a tenth of a second.
    """
    folded = np.zeros(N_CODE_POINTS, np.uint32)
    category, decomposition, normalize = unicodedata.category, unicodedata.decomposition, unicodedata.normalize
    for code in range(LAST_LETTER):
        character = chr(code)
        kind = category(character)
        if kind == "Cf":
            folded[code] = SKIPPED
        elif kind[0] in "LNM":
            lower = character.lower()
            if len(lower) == 1 or kind[0] == "L":
                character = lower[0]
            if decomposition(character) and not 0xAC00 <= ord(character) < 0xD7A4:
                character = normalize("NFKD", character)[0]
            folded[code] = ord(character)
    for codes in ACCENTS:
        folded[codes.start : codes.stop] = SKIPPED
    folded[[ord("'"), ord("’"), ord("ʼ")]] = SKIPPED
    for codes in UNSPACED_SCRIPTS:
        letters = folded[codes.start : codes.stop]
        letters[letters > SKIPPED] |= UNSPACED
    folded.setflags(write=False)
    return folded
