"""Alterations of words: replaced, inserted, deleted, swapped, masked, shuffled."""

from __future__ import annotations

import random
import re

from model.corpus.augmentation.config import (
    DeleteWords,
    InsertSynonyms,
    MaskWords,
    ReplaceWords,
    ShuffleSentences,
    ShuffleWords,
    SwapWords,
    Synonyms,
)
from model.corpus.augmentation.wordnet import WordNet, open_wordnet

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SENTENCE_BORDER = re.compile(r"((?<=[.!?…。！？])[ \t]+(?=\S))")
# Words that EDA leaves alone: they carry grammar, and WordNet lists some with rare meanings ("a": angstrom).
FUNCTION_WORDS = frozenset(
    """
    a about above after again against all am an and any are as at be because been before being below between both but
    by can could did do does doing down during each few for from further had has have having he her here hers herself
    him himself his how i if in into is it its itself just may me might more most must my myself no nor not now of off
    on once only or other our ours ourselves out over own same shall she should so some such than that the their theirs
    them themselves then there these they this those through to too under until up us very was we were what when where
    which while who whom why will with would you your yours yourself yourselves
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)


def split_words(text: str) -> list[str]:
    """What stands between words, and words, in turn: every second piece, from the second on, is a word."""
    pieces, place = [], 0
    for match in WORD.finditer(text):
        pieces += [text[place : match.start()], match[0]]
        place = match.end()
    return [*pieces, text[place:]]


def replace_synonyms(operation: Synonyms, text: str, r: random.Random) -> str:
    """Some words replaced by a synonym of their most frequent meaning, in the same capitalisation."""
    wordnet, pieces = open_wordnet(operation.dictionary), split_words(text)
    for place in range(1, len(pieces), 2):
        synonyms = synonyms_of(pieces[place], wordnet)
        if synonyms and r.random() < operation.rate:
            pieces[place] = like(pieces[place], r.choice(synonyms))
    return "".join(pieces)


def insert_synonyms(operation: InsertSynonyms, text: str, r: random.Random) -> str:
    """Synonyms of some words inserted before another word of the same line."""
    wordnet, pieces = open_wordnet(operation.dictionary), split_words(text)
    additions: dict[int, list[str]] = {}
    for first, last in _lines(pieces):
        for place in range(first, last, 2):
            synonyms = synonyms_of(pieces[place], wordnet)
            if synonyms and r.random() < operation.rate:
                additions.setdefault(r.randrange(first, last, 2), []).append(r.choice(synonyms))
    for place, words in additions.items():
        pieces[place] = " ".join([*words, pieces[place]])
    return "".join(pieces)


def swap_words(operation: SwapWords, text: str, r: random.Random) -> str:
    """Some pairs of words of one line changed with one another."""
    pieces = split_words(text)
    for first, last in _lines(pieces):
        n = (last - first + 1) // 2
        for _ in range(_draw_count(n, operation.rate, r) if n > 1 else 0):
            a, b = (first + 2 * i for i in r.sample(range(n), 2))
            pieces[a], pieces[b] = pieces[b], pieces[a]
    return "".join(pieces)


def delete_words(operation: DeleteWords, text: str, r: random.Random) -> str:
    """Some words deleted, with the spaces before them; a text keeps at least one word."""
    pieces = split_words(text)
    words = range(1, len(pieces), 2)
    gone = [place for place in words if r.random() < operation.rate]
    if len(gone) == len(words) and gone:
        gone.remove(r.choice(gone))
    for place in gone:
        pieces[place] = ""
        pieces[place - 1] = pieces[place - 1].rstrip(" \t")
    whole = "".join(pieces)
    return whole if text[:1].isspace() else whole.lstrip(" \t")


def mask_words(operation: MaskWords, text: str, r: random.Random) -> str:
    """Some words replaced by the mask."""
    pieces = split_words(text)
    for place in range(1, len(pieces), 2):
        if r.random() < operation.rate:
            pieces[place] = operation.mask
    return "".join(pieces)


def replace_words(operation: ReplaceWords, text: str, r: random.Random) -> str:
    """Some words replaced by words drawn from the same text."""
    pieces = split_words(text)
    words = pieces[1::2]
    for place in range(1, len(pieces), 2):
        if r.random() < operation.rate:
            pieces[place] = like(pieces[place], r.choice(words))
    return "".join(pieces)


def shuffle_words(operation: ShuffleWords, text: str, r: random.Random) -> str:
    """The words of each window in another order."""
    pieces = split_words(text)
    for first, last in _lines(pieces):
        for start in range(first, last, 2 * operation.window):
            places = range(start, min(start + 2 * operation.window, last), 2)
            words = [pieces[place] for place in places]
            r.shuffle(words)
            for place, word in zip(places, words, strict=True):
                pieces[place] = word
    return "".join(pieces)


def shuffle_sentences(operation: ShuffleSentences, text: str, r: random.Random) -> str:  # noqa: ARG001
    """The sentences of each line in another order; the spaces between them stay where they are."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        pieces = SENTENCE_BORDER.split(line)
        sentences = pieces[0::2]
        r.shuffle(sentences)
        pieces[0::2] = sentences
        lines[number] = "".join(pieces)
    return "\n".join(lines)


def synonyms_of(word: str, wordnet: WordNet) -> tuple[str, ...]:
    """Synonyms of a word that is no function word and no number."""
    lower = word.lower()
    if lower in FUNCTION_WORDS or len(word) < 3 or not word.isalpha():
        return ()
    return wordnet.synonyms(lower)


def like(model: str, word: str) -> str:
    """A word in the capitalisation of another."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    if model[:1].isupper():
        return word[:1].upper() + word[1:]
    return word[:1].lower() + word[1:] if word.istitle() and not word[1:].isupper() else word


def _lines(pieces: list[str]) -> list[tuple[int, int]]:
    """First and last-plus-one place of the words of each line."""
    found, first = [], 1
    for place in range(2, len(pieces), 2):
        if "\n" in pieces[place] or place == len(pieces) - 1:
            if place > first:
                found.append((first, place))
            first = place + 1
    return found


def _draw_count(n: int, rate: float, r: random.Random) -> int:
    """About n * rate, rounded up or down at random so that the mean is right for short lines too."""
    whole, part = divmod(n * rate, 1)
    return int(whole) + (r.random() < part)
