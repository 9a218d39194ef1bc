"""The compiled loops that cut texts into words; see `model.corpus.segmentation` for what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits
from model.corpus.segmentation_affix_kernels import (
    exception_at,
    full_stops,
    infix_length,
    is_url,
    prefix_length,
    suffix_length,
)
from model.corpus.segmentation_hash_kernels import MULTIPLIER, START, mixed

SPACE, SUFFIX, INFIX, ALPHA, CURRENCY = bits.SPACE, bits.SUFFIX, bits.INFIX, bits.ALPHA, bits.CURRENCY
DIGIT, LETTER, NUMERIC, CAREFUL = bits.DIGIT, bits.LETTER, bits.NUMERIC, bits.CAREFUL
EXCEPTION_END, LONGEST_EXCEPTION = bits.EXCEPTION_END, bits.LONGEST_EXCEPTION
PERIOD, HYPHEN, STRAIGHT, CURLY = 0x2E, 0x2D, 0x27, 0x2019


@allocation_free
def _put(starts: Any, ends: Any, n: int, start: int, end: int) -> int:
    """Write one word; gives the number of words written."""
    starts[n], ends[n] = start, end
    return n + 1


@allocation_free
def _put_pieces(starts: Any, ends: Any, n: int, start: int, end: int, cuts: int) -> int:
    """Write the pieces of an exception."""
    while cuts & 255:
        n = _put(starts, ends, n, start, start + (cuts & 255))
        start += cuts & 255
        cuts >>= 8
    return _put(starts, ends, n, start, end)


@allocation_free
def _put_middle(
    characters: Any, start: int, end: int, flags: Any, keys: Any, cuts: Any, shapes: Any, starts: Any, ends: Any, n: int
) -> int:
    """Write what is left of a word between its prefixes and suffixes."""
    found = exception_at(characters, start, end, keys, cuts, shapes)
    if found >= 0:
        return _put_pieces(starts, ends, n, start, end, found)
    seen, has_period = 0, False
    for i in range(start, end):
        seen |= flags[characters[i]]
        has_period |= characters[i] == PERIOD
    if not seen & (CAREFUL | INFIX) or (has_period and is_url(characters, start, end, flags)):
        return _put(starts, ends, n, start, end)
    begin, i = start, start
    while i < end:
        length = infix_length(characters, start, i, end, flags)
        if length and i > start:
            if i > begin:
                n = _put(starts, ends, n, begin, i)
            n = _put(starts, ends, n, i, i + length)
            begin = i + length
        i += max(length, 1)
    return _put(starts, ends, n, begin, end) if begin < end else n


@allocation_free
def _cut(
    characters: Any,
    start: int,
    end: int,
    flags: Any,
    keys: Any,
    cuts: Any,
    shapes: Any,
    units: Any,
    starts: Any,
    ends: Any,
    n: int,
) -> int:
    """Write the words of [start, end), which holds no white space."""
    # Suffixes are found last to first; their starts wait at the far end of an output, which is as long as the text
    # has characters and so never reached by the words.
    n_waiting, last, size = 0, end, ends.size
    while start < end and exception_at(characters, start, end, keys, cuts, shapes) < 0:
        prefix = prefix_length(characters, start, end, flags)
        if prefix:
            rest = start + prefix
            if rest < end and exception_at(characters, rest, end, keys, cuts, shapes) >= 0:
                n = _put(starts, ends, n, start, rest)
                start = rest
                break
        suffix = suffix_length(characters, start + prefix, end, flags, units)
        if suffix:
            n_waiting += 1
            end -= suffix
            ends[size - n_waiting] = end
            if start < end and prefix and exception_at(characters, start, end, keys, cuts, shapes) >= 0:
                break
        if prefix:
            n = _put(starts, ends, n, start, start + prefix)
            start += prefix
        elif not suffix:
            break
    if start < end:
        n = _put_middle(characters, start, end, flags, keys, cuts, shapes, starts, ends, n)
    for k in range(n_waiting, 0, -1):
        stop = ends[size - k + 1] if k > 1 else last
        n = _put(starts, ends, n, ends[size - k], stop)
    return n


@allocation_free
def _pieces_of(cuts: int) -> int:
    """How many pieces an exception has."""
    return 1 + (cuts & 255 > 0) + (cuts >> 8 > 0)


@allocation_free
def _join_exceptions(
    characters: Any, first: int, flags: Any, keys: Any, cuts: Any, shapes: Any, starts: Any, ends: Any, n: int
) -> int:
    """Join neighbours among the words [first, n) that together are an exception: `:` and `)`, or `Mr` and `.`."""
    last_possible = -1
    for i in range(first + 1, n):
        if flags[characters[ends[i] - 1]] & EXCEPTION_END and ends[i] - starts[i - 1] <= LONGEST_EXCEPTION:
            last_possible = i
    if last_possible < 0:
        return n
    # As in spaCy, a match that overlaps one before it is not used, and yet keeps later ones from overlapping it: of
    # four apostrophes only the first two are joined.
    written, i, joined_to, matched_to = first, first, first, first
    while i < n:
        taken, chosen = 1, -1
        j = i + 1
        while j <= last_possible and ends[j] - starts[i] <= LONGEST_EXCEPTION:
            found = exception_at(characters, starts[i], ends[j], keys, cuts, shapes)
            if found >= 0 and _pieces_of(found) <= j - i + 1:
                taken, chosen = j - i + 1, found
            j += 1
        if taken > 1 and i >= matched_to:
            written = _put_pieces(starts, ends, written, starts[i], ends[i + taken - 1], chosen)
            joined_to = i + taken
        elif i >= joined_to:
            written = _put(starts, ends, written, starts[i], ends[i])
        if taken > 1:
            matched_to = max(matched_to, i + taken)
        i += 1
    return written


@allocation_free
def _cut_at(characters: Any, start: int, end: int, careful: int, flags: Any, starts: Any, ends: Any, n: int) -> int:
    """Write the words of [start, end), which is no exception and has one character to care for, at `careful`.

    The common cases of `_cut`, several times as fast: a mark at either end, a hyphen between letters, 's. Gives -1 for
    others, and then has written nothing.
    """
    mark = characters[careful]
    flag = flags[mark]
    if flag & (INFIX | CURRENCY | DIGIT):
        return -1
    if end - start == 1:
        return _put(starts, ends, n, start, end)
    if careful == end - 1 and mark == PERIOD:
        if not full_stops(characters, start, end, flags):
            return _put(starts, ends, n, start, end)
        return _put(starts, ends, _put(starts, ends, n, start, careful), careful, end)
    if careful == end - 1:
        if not flag & SUFFIX:
            return -1
        return _put(starts, ends, _put(starts, ends, n, start, careful), careful, end)
    if mark == HYPHEN and careful > start and flags[characters[careful - 1]] & flags[characters[careful + 1]] & ALPHA:
        n = _put(starts, ends, _put(starts, ends, n, start, careful), careful, careful + 1)
        return _put(starts, ends, n, careful + 1, end)
    if mark not in (STRAIGHT, CURLY):
        return -1
    if careful == end - 2 and careful > start and (characters[end - 1] | 0x20) == 0x73:
        return _put(starts, ends, _put(starts, ends, n, start, careful), careful, end)
    return -1


@allocation_free
def cut_words(
    characters: Any,
    text_starts: Any,
    flags: Any,
    keys: Any,
    cuts: Any,
    shapes: Any,
    units: Any,
    starts: Any,
    ends: Any,
    words_of_text: Any,
) -> int:
    """Find where the words of all texts start and end.

    Args:
        characters: (n_characters,) uint32.
        text_starts: (n_texts + 1,) int64.
        flags: As in `CharacterTables`, like the next four.
        keys: Hashes of the exceptions.
        cuts: Their cuts.
        shapes: Their shapes.
        units: Hashes of the units of measure.
        starts: Output with room for n_characters + 1 words.
        ends: Output of the same size.
        words_of_text: Output (n_texts + 1,) int64.

    Returns:
        How many words there are.
    """
    n = 0
    for text in range(text_starts.size - 1):
        words_of_text[text] = n
        i, end = text_starts[text], text_starts[text + 1]
        while i < end:
            seen = flags[characters[i]]
            if seen & SPACE:
                i += 1
                continue
            start, n_careful, careful = i, 0, -1
            while not seen & SPACE:
                if seen & CAREFUL:
                    n_careful, careful = n_careful + 1, i
                i += 1
                if i == end:
                    break
                seen = flags[characters[i]]
            if n_careful <= 1:
                found = exception_at(characters, start, i, keys, cuts, shapes)
                if found >= 0 or n_careful == 0:
                    n = _put_pieces(starts, ends, n, start, i, max(found, 0))
                    continue
                left = careful + 1 if careful == start else start
                right = i if left > start else careful
                is_plain = left == right or exception_at(characters, left, right, keys, cuts, shapes) < 0
                after = _cut_at(characters, start, i, careful, flags, starts, ends, n) if is_plain else -1
                if after >= 0:
                    n = after
                    continue
            first = n
            n = _cut(characters, start, i, flags, keys, cuts, shapes, units, starts, ends, n)
            if n > first + 1:
                n = _join_exceptions(characters, first, flags, keys, cuts, shapes, starts, ends, n)
    words_of_text[text_starts.size - 1] = n
    return n


@allocation_free
def hash_words(
    characters: Any, flags: Any, lower: Any, starts: Any, ends: Any, hashes: Any, lower_hashes: Any, kinds: Any
) -> None:
    """Fill in the hashes and kinds of the words; `hashes`, `lower_hashes`: uint64, `kinds`: uint8, all (n_words,)."""
    for word in range(starts.size):
        as_written, small, seen = START, START, np.uint32(0)
        for i in range(starts[word], ends[word]):
            character = characters[i]
            seen |= flags[character]
            as_written = as_written * MULTIPLIER + np.uint64(character)
            small = small * MULTIPLIER + np.uint64(lower[character])
        hashes[word], lower_hashes[word] = mixed(as_written), mixed(small)
        kinds[word] = 0 if seen & LETTER else (1 if seen & NUMERIC else 2)
