"""Compiled loops over texts: the hash of every word, and of every run of neighbouring words."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import compiled, inlined

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
START = np.uint64(0x2545F4914F6CDD1D)
SEPARATOR = np.uint32(0)
SKIPPED = np.uint32(1)
UNSPACED = np.uint32(1 << 31)
SPACE = np.uint32(32)


@inlined
def mix(value: Any) -> Any:
    """All bits of a 64-bit value depend on all others (the finalizer of SplitMix64; Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def put_marks(
    characters: np.ndarray, begin: int, end: int, hashes: np.ndarray, spans: np.ndarray, n: int
) -> int:  # fmt: skip
    """Count each visible character of a text without words as one; see `cut_words`."""
    for place in range(begin, end):
        if characters[place] > SPACE:
            if len(spans):
                spans[n, 0], spans[n, 1] = place, place + 1
            hashes[n] = mix(np.uint64(characters[place]))
            n += 1
    return n


@compiled
def cut_words(
    characters: np.ndarray, text_starts: np.ndarray, folded: np.ndarray, hashes: np.ndarray, starts: np.ndarray,
    spans: np.ndarray,
) -> int:  # fmt: skip
    """Hash every word of texts; a text that has none counts each visible character as one.

    Args:
        characters: (n_characters,) uint32 or uint8.
        text_starts: (n_texts + 1,) int64.
        folded: (1114112,) uint32, what a code point counts as; see `words.folded_code_points`.
        hashes: (n_characters,) uint64, filled.
        starts: (n_texts + 1,) int64, filled: where each text's words begin in `hashes`.
        spans: (n_characters, 2) int64, filled with each word's place in `characters`; (0, 2) if not wanted.

    Returns:
        How many words there are.
    """
    n = 0
    starts[0] = 0
    for text in range(len(text_starts) - 1):
        place, end = text_starts[text], text_starts[text + 1]
        while place < end:
            letter = folded[characters[place]]
            first = place
            place += 1
            if letter <= SKIPPED:
                continue
            rolling, three, room = START, np.uint64(letter), 2
            if letter < UNSPACED:
                while place < end:
                    letter = folded[characters[place]]
                    if letter == SEPARATOR or letter >= UNSPACED:
                        break
                    place += 1
                    if letter == SKIPPED:
                        continue
                    if room:  # three letters a multiplication, as its delay is what a word costs
                        three = three << np.uint64(21) | np.uint64(letter)
                        room -= 1
                    else:
                        rolling, three, room = (rolling + three) * MULTIPLIER, np.uint64(letter), 2
            if len(spans):
                spans[n, 0], spans[n, 1] = first, place
            hashes[n] = mix((rolling + three) * MULTIPLIER)
            n += 1
        if n == starts[text]:
            n = put_marks(characters, text_starts[text], end, hashes, spans, n)
        starts[text + 1] = n
    return n


@compiled
def window_hashes(
    words: np.ndarray, word_starts: np.ndarray, width: int, hashes: np.ndarray, starts: np.ndarray
) -> int:
    """Hash every window of `width` words by a rolling polynomial modulo 2^64, mixed.

    Args:
        words: (n_words,) uint64 hashes of words.
        word_starts: (n_texts + 1,) int64.
        width: Words in a window; a shorter text is one window of all its words.
        hashes: (n_words,) uint64, filled.
        starts: (n_texts + 1,) int64, filled.

    Returns:
        How many windows there are.
    """
    oldest = np.uint64(1)
    for _ in range(width):
        oldest *= MULTIPLIER
    n = 0
    starts[0] = 0
    for text in range(len(word_starts) - 1):
        begin, end = word_starts[text], word_starts[text + 1]
        if end > begin:
            rolling = np.uint64(0)
            first = min(begin + width, end)
            for k in range(begin, first):
                rolling = rolling * MULTIPLIER + words[k]
            hashes[n] = mix(rolling)
            n += 1
            for k in range(first, end):
                rolling = rolling * MULTIPLIER + words[k] - oldest * words[k - width]
                hashes[n] = mix(rolling)
                n += 1
        starts[text + 1] = n
    return n
