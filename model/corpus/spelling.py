"""Correction of misspelled English words, only where there is no doubt.

By symspellpy and the dictionary of 82,765 words with their frequencies that it brings along (SymSpell, Garbe 2012),
and by a short list of common misspellings. A word is corrected if it is written in small letters (or is in the list),
stands by itself between white space and punctuation, is in no dictionary and no inflection of a word that is, comes at
most twice in the text (what comes oftener is a term or a name), and if one frequent word, ten times as frequent as any
other, differs by a slip of the fingers: two letters exchanged, a letter doubled or not doubled, or one left out of a
long word.
Wrong letters are corrected from the list alone, for they may as well be a rare word or another country's spelling.
Code, other languages and tables are left alone: most words of the line and of the text have to be known.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import Any

WORD = re.compile(r"(?<![\w'’@#/\\.$&+=~^*_-])[A-Za-z][a-z]{3,24}(?![\w'’@#/\\$&+=~^*_(-])(?!\.\w)(?! ?['’])")
LETTERS = re.compile(r"[^\W\d_]+")
SHORTEST = 4
LONG = 7
LEAST_KNOWN_IN_LINE = 0.5  # of words that are not short
LEAST_KNOWN_IN_TEXT = 0.6
MOST_OFTEN = 2
MUCH_MORE_FREQUENT = 10
LEAST_FREQUENT = 1_000_000  # of 10^12 words of the web, below which a word is too rare to be what was meant
ENDINGS = (
    "s",
    "es",
    "ed",
    "d",
    "ing",
    "ly",
    "er",
    "ers",
    "r",
    "est",
    "ness",
    "able",
    "ation",
    "ish",
    "like",
    "less",
    "y",
)
BEGINNINGS = (
    "un",
    "re",
    "non",
    "pre",
    "anti",
    "over",
    "under",
    "out",
    "inter",
    "multi",
    "sub",
    "super",
    "micro",
    "de",
    "mis",
)


@dataclass(frozen=True)
class Speller:
    """The dictionary and the list.

    Attributes:
        symspell: A `symspellpy.SymSpell` with the dictionary.
        listed: Common misspellings and what is meant.
    """

    symspell: Any
    listed: dict[str, str]

    def knows(self, word: str) -> bool:
        """Whether a word in lower case, or the word it is an inflection of, is in the dictionary."""
        words = self.symspell.words
        if word in words or word in self.listed:
            return word in words
        for ending in ENDINGS:
            stem = word.removesuffix(ending)
            if len(stem) >= SHORTEST - 1 and stem != word and (stem in words or stem + "e" in words):
                return True
        return any(
            word.startswith(begin) and len(word) > len(begin) + 2 and word[len(begin) :] in words
            for begin in BEGINNINGS
        )

    def meant(self, word: str) -> str:
        """What a word in lower case should have been; the word itself if there is any doubt."""
        if word in self.listed:
            return self.listed[word]
        if self.knows(word):
            return word
        from symspellpy import Verbosity

        found = [term for term in self.symspell.lookup(word, Verbosity.ALL, max_edit_distance=1) if term.distance == 1]
        found.sort(key=lambda term: (-term.count, term.term))
        if not found or found[0].count < LEAST_FREQUENT or len(found[0].term) < SHORTEST:
            return word
        is_clear = len(found) == 1 or found[0].count >= MUCH_MORE_FREQUENT * found[1].count
        return str(found[0].term) if is_clear and is_slip(word, found[0].term) else word


def is_slip(written: str, meant: str) -> bool:
    """Whether one word can have become the other by a slip: neighbours exchanged, or a letter doubled or left out."""
    if written[0] != meant[0]:
        return False
    if len(written) == len(meant):
        at = [i for i, (a, b) in enumerate(zip(written, meant, strict=True)) if a != b]
        return len(at) == 2 and at[1] == at[0] + 1 and written[at[0]] == meant[at[1]] and written[at[1]] == meant[at[0]]
    longer, shorter = (written, meant) if len(written) > len(meant) else (meant, written)
    place = next((i for i, (a, b) in enumerate(zip(longer, shorter, strict=False)) if a != b), len(shorter))
    is_doubled = longer[place] == longer[place - 1]
    is_british = any(pair in meant[max(place - 1, 0) : place + 2] for pair in ("our", "ll", "ae", "oe", "iu"))
    is_left_out = len(written) >= LONG and longer is meant and place < len(shorter)
    return (is_doubled or is_left_out) and not is_british


@functools.cache
def speller() -> Speller:
    """The dictionary and the list, read once in a process (half a second)."""
    from symspellpy import SymSpell

    symspell = SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    dictionary = resources.files("symspellpy") / "frequency_dictionary_en_82_765.txt"
    with resources.as_file(dictionary) as path:
        symspell.load_dictionary(path, term_index=0, count_index=1, encoding="utf-8-sig")
    lines = (resources.files("model.corpus") / "misspellings.txt").read_text(encoding="utf-8").splitlines()
    listed = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    return Speller(symspell, {wrong: right for wrong, right in listed.items() if wrong not in symspell.words})


def correct_misspellings(text: str) -> str:
    """The text with misspelled words corrected; twice gives the same as once."""
    known = _Known(speller())
    lines = text.split("\n")
    words = Counter(word for line in lines for word in map(str.lower, LETTERS.findall(line)))
    long = {word: n for word, n in words.items() if len(word) >= SHORTEST}
    if sum(n for word, n in long.items() if known(word)) < LEAST_KNOWN_IN_TEXT * sum(long.values()):
        return text
    return "\n".join(_corrected_line(line, words, known) for line in lines)


class _Known(dict[str, bool]):
    """Which words are known, asked once each."""

    def __init__(self, speller: Speller) -> None:
        super().__init__()
        self.speller = speller

    def __missing__(self, word: str) -> bool:
        self[word] = len(word) < SHORTEST or (word.isascii() and self.speller.knows(word))
        return self[word]

    def __call__(self, word: str) -> bool:
        return self[word]


def _corrected_line(line: str, words: Counter[str], known: _Known) -> str:
    unknown = {word for word in map(str.lower, WORD.findall(line)) if not known(word)}
    if not unknown:
        return line
    in_line = [word.lower() for word in LETTERS.findall(line) if len(word) >= SHORTEST]
    if sum(map(known, in_line)) < LEAST_KNOWN_IN_LINE * len(in_line):
        return line

    def corrected(match: re.Match[str]) -> str:
        word = match[0]
        small = word.lower()
        is_listed = small in known.speller.listed
        if small not in unknown or (not is_listed and (word != small or words[small] > MOST_OFTEN)):
            return word
        right = known.speller.meant(small)
        return right if word == small else right[0].upper() + right[1:]

    return WORD.sub(corrected, line)
