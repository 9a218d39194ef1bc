"""The compiled loops that find repeated lines, paragraphs and n-grams of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus.filters.hash_table_kernels import find_slot, is_repeated, mask_for
from model.corpus.segmentation_hash_kernels import MULTIPLIER, START, mixed

NEWLINE = 0x0A


@allocation_free
def _repeated_pieces(
    starts: Any,
    ends: Any,
    hashes: Any,
    first: int,
    last: int,
    skips_empty: bool,
    extra: int,
    keys: Any,
    stamps: Any,
    stamp: int,
) -> Any:
    """Pieces in all, pieces that came before, and their characters; `extra` empty pieces are added."""
    mask = mask_for(last - first + 1)
    n, repeated, characters = extra, max(extra - 1, 0), 0
    for piece in range(first, last):
        length = ends[piece] - starts[piece]
        if skips_empty and length == 0:
            continue
        n += 1
        if is_repeated(keys, stamps, stamp, mask, hashes[piece]):
            repeated += 1
            characters += length
    return n, repeated, characters


@allocation_free
def _top_gram(
    word_starts: Any, word_ends: Any, hashes: Any, first: int, last: int, n: int, table: Any, stamp: int
) -> int:
    """Characters (a space between words counted) of the most frequent n-gram, the first of equals, times its count."""
    keys, stamps, counts, firsts = table
    mask = mask_for(last - first)
    best, best_first = 0, first
    for word in range(first, last - n + 1):
        key = START
        for k in range(n):
            key = key * MULTIPLIER + hashes[word + k]
        slot = find_slot(keys, stamps, stamp, mask, key)
        if stamps[slot] != stamp:
            stamps[slot], keys[slot], counts[slot], firsts[slot] = stamp, key, 0, word
        counts[slot] += 1
        if counts[slot] > best or (counts[slot] == best and firsts[slot] < best_first):
            best, best_first = counts[slot], firsts[slot]
    return best * _gram_length(word_starts, word_ends, best_first, n)


@allocation_free
def _gram_length(word_starts: Any, word_ends: Any, first: int, n: int) -> int:
    length = n - 1
    for word in range(first, first + n):
        length += word_ends[word] - word_starts[word]
    return length


@allocation_free
def _chain_hashes(
    characters: Any, word_starts: Any, word_ends: Any, first: int, last: int, chained: Any, before: Any
) -> None:
    """Hashes and numbers of all characters of words before each word: `chained`, `before` (n_words + 1,)."""
    value, n = np.uint64(0), 0
    for word in range(first, last):
        chained[word - first], before[word - first] = value, n
        for i in range(word_starts[word], word_ends[word]):
            value = value * MULTIPLIER + np.uint64(characters[i]) + np.uint64(1)
        n += word_ends[word] - word_starts[word]
    chained[last - first], before[last - first] = value, n


@allocation_free
def _joined_hash(chained: Any, before: Any, powers: Any, word: int, n: int) -> Any:
    """Hash of the n words from `word` on, written without spaces between them."""
    length = before[word + n] - before[word]
    if length < powers.size:
        power = powers[length]
    else:
        power, base, rest = np.uint64(1), MULTIPLIER, length
        while rest:
            if rest & 1:
                power *= base
            base *= base
            rest >>= 1
    return mixed(chained[word + n] - chained[word] * power + np.uint64(length))


@allocation_free
def _repeated_gram_characters(
    chained: Any, before: Any, powers: Any, n_words: int, n: int, keys: Any, stamps: Any, stamp: int
) -> int:
    """Characters in n-grams that came before; after one, the next that is looked at begins behind it."""
    mask = mask_for(n_words)
    repeated, word = 0, 0
    while word < n_words - n + 1:
        if is_repeated(keys, stamps, stamp, mask, _joined_hash(chained, before, powers, word, n)):
            repeated += before[word + n] - before[word]
            word += n
        else:
            word += 1
    return repeated


@allocation_free
def _most_repeated_characters(
    chained: Any, before: Any, powers: Any, n_words: int, n: int, keys: Any, stamps: Any, stamp: int
) -> int:
    """Characters of words in any n-gram that came before: no longer n-grams can repeat more of the text."""
    mask = mask_for(n_words)
    covered, covered_to = 0, 0
    for word in range(n_words - n + 1):
        if is_repeated(keys, stamps, stamp, mask, _joined_hash(chained, before, powers, word, n)):
            covered += before[word + n] - before[max(word, covered_to)]
            covered_to = word + n
    return covered


@allocation_free
def judge_repetition(
    characters: Any,
    text_starts: Any,
    word_starts: Any,
    word_ends: Any,
    word_hashes: Any,
    words_of_text: Any,
    lines: Any,
    paragraphs: Any,
    limits: Any,
    top_sizes: Any,
    top_limits: Any,
    sizes: Any,
    size_limits: Any,
    alive: Any,
    table: Any,
    chained: Any,
    before: Any,
    powers: Any,
    rules: Any,
) -> None:
    """The first repetition rule that each text breaks.

    Args:
        characters: As in `Segmented`, like the next five.
        text_starts: As there.
        word_starts: As there.
        word_ends: As there.
        word_hashes: As there.
        words_of_text: As there.
        lines: Starts, ends, hashes, of_text of the lines.
        paragraphs: The same of the paragraphs.
        limits: (4,) float64: largest share of paragraphs, of their characters, of lines, of their characters.
        top_sizes: (n_top,) int64, sizes of n-grams.
        top_limits: (n_top,) float64, largest share of the most frequent one.
        sizes: (n_sizes,) int64, ascending sizes of n-grams.
        size_limits: (n_sizes,) float64, largest share of repeated ones.
        alive: (n_texts,) bool.
        table: Hash table with counts and first places, for as many keys as the longest text has words or lines.
        chained: (words of the longest text + 1,) uint64, to work in.
        before: (words of the longest text + 1,) int64, to work in.
        powers: (n,) uint64 of ones, to work in.
        rules: Output (n_texts,) int64 of -1: the number of a rule, 0 to 3 the limits, then the top n-grams, then the
            n-grams.
    """
    keys, stamps = table[0], table[1]
    for k in range(1, powers.size):
        powers[k] = powers[k - 1] * MULTIPLIER
    stamp, least_limit = 0, np.inf
    for k in range(sizes.size):
        least_limit = min(least_limit, size_limits[k])
    for text in range(rules.size):
        start, end = text_starts[text], text_starts[text + 1]
        if not alive[text] or start == end:
            continue
        rules[text] = _judge_pieces(characters, start, end, text, lines, paragraphs, limits, keys, stamps, stamp)
        stamp += 2
        first, last = words_of_text[text], words_of_text[text + 1]
        n_words = last - first
        k = 0
        while rules[text] < 0 and k < top_sizes.size:
            stamp += 1
            n = top_sizes[k]
            if n_words >= n:
                top = _top_gram(word_starts, word_ends, word_hashes, first, last, n, table, stamp)
                if top / (end - start) > top_limits[k]:
                    rules[text] = 4 + k
            k += 1
        if rules[text] >= 0 or sizes.size == 0 or n_words < sizes[0]:
            continue
        _chain_hashes(characters, word_starts, word_ends, first, last, chained, before)
        stamp += 1
        bound = _most_repeated_characters(chained, before, powers, n_words, sizes[0], keys, stamps, stamp)
        if bound / (end - start) <= least_limit:
            continue
        for k in range(sizes.size):
            stamp += 1
            repeated = _repeated_gram_characters(chained, before, powers, n_words, sizes[k], keys, stamps, stamp)
            if repeated / (end - start) > size_limits[k]:
                rules[text] = 4 + top_sizes.size + k
                break


@allocation_free
def _judge_pieces(
    characters: Any,
    start: int,
    end: int,
    text: int,
    lines: Any,
    paragraphs: Any,
    limits: Any,
    keys: Any,
    stamps: Any,
    stamp: int,
) -> int:
    """The first rule about paragraphs and lines that a text breaks; uses the stamps after `stamp`."""
    starts, ends, hashes, of_text = paragraphs
    n, repeated, length = _repeated_pieces(
        starts, ends, hashes, of_text[text], of_text[text + 1], False, 0, keys, stamps, stamp + 1
    )
    if repeated / n > limits[0]:
        return 0
    if length / (end - start) > limits[1]:
        return 1
    starts, ends, hashes, of_text = lines
    # Runs of line feeds separate lines; one at either end of the text leaves an empty line there.
    extra = int(characters[start] == NEWLINE) + int(characters[end - 1] == NEWLINE)
    n, repeated, length = _repeated_pieces(
        starts, ends, hashes, of_text[text], of_text[text + 1], True, extra, keys, stamps, stamp + 2
    )
    if repeated / n > limits[2]:
        return 2
    return 3 if length / (end - start) > limits[3] else -1
