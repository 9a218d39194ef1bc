"""The compiled counts behind the Gopher rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits

SPACE, LINE_END, FILTER_PUNCTUATION = bits.SPACE, bits.LINE_END, bits.FILTER_PUNCTUATION
HASH, PERIOD, ELLIPSIS, BULLET, HYPHEN = 0x23, 0x2E, 0x2026, 0x2022, 0x2D
RETURN, NEWLINE = 0x0D, 0x0A
N_MEASURES = 10


@allocation_free
def line_end(characters: Any, start: int, end: int, flags: Any) -> int:
    """Where the line that begins at `start` ends, as `str.splitlines` cuts: at the line end or the text's."""
    i = start
    while i < end and not flags[characters[i]] & LINE_END:
        i += 1
    return i


@allocation_free
def after_line_end(characters: Any, i: int, end: int) -> int:
    """Where the next line begins; a carriage return and a line feed are one line end."""
    if characters[i] == RETURN and i + 1 < end and characters[i + 1] == NEWLINE:
        return i + 2
    return i + 1


@allocation_free
def _measure_lines(characters: Any, start: int, end: int, flags: Any, row: Any) -> None:
    """Count hashes, ellipses, lines, bullet lines and ellipsis lines into columns 3 to 7."""
    i, periods = start, 0
    first, last, before, third = (
        -1,
        -1,
        -1,
        -1,
    )  # first character of a line that is no space, and the last three up to one
    n_line = 0
    for i in range(start, end + 1):
        character = int(characters[i]) if i < end else -1
        flag = flags[characters[i]] if i < end else np.uint32(0)
        if character == PERIOD:
            periods += 1
        else:
            row[4] += periods // 3
            periods = 0
        row[3] += character == HASH
        row[4] += character == ELLIPSIS
        if i == end or flag & LINE_END:
            is_second_half = character == NEWLINE and i > start and characters[i - 1] == RETURN
            if (i < end or n_line) and not is_second_half:
                row[5] += 1
                row[6] += first in (BULLET, HYPHEN)
                row[7] += last == ELLIPSIS or (last == PERIOD and before == PERIOD and third == PERIOD)
            first, last, before, third, n_line = -1, -1, -1, -1, 0
            continue
        n_line += 1
        if flag & SPACE:
            continue
        if first < 0:
            first = character
        # Only neighbours make an ellipsis: after a space the last characters start anew.
        if n_line > 1 and flags[characters[i - 1]] & SPACE:
            before, third = -1, -1
        else:
            third, before = before, last
        last = character


@allocation_free
def measure_quality(
    characters: Any,
    text_starts: Any,
    flags: Any,
    word_starts: Any,
    word_ends: Any,
    word_hashes: Any,
    word_kinds: Any,
    words_of_text: Any,
    stop_words: Any,
    alive: Any,
    rows: Any,
) -> None:
    """Count what the quality rules need.

    Args:
        characters: As in `Segmented`, like the next ones.
        text_starts: As there.
        flags: As in `CharacterTables`.
        word_starts: As in `Segmented`.
        word_ends: As there.
        word_hashes: As there.
        word_kinds: As there.
        words_of_text: As there.
        stop_words: (n,) uint64, hashes of at most 64 words.
        alive: (n_texts,) bool; other texts keep their zeros.
        rows: Output (n_texts, 10) int64 of zeros: words; words that are not only marks; their characters; hash signs;
            ellipses; lines; lines that begin with a bullet; lines that end with an ellipsis; words with a letter;
            different stop words.
    """
    n_texts = text_starts.size - 1
    for text in range(n_texts):
        if not alive[text]:
            continue
        row = rows[text]
        _measure_lines(characters, text_starts[text], text_starts[text + 1], flags, row)
        row[0] = words_of_text[text + 1] - words_of_text[text]
        found = np.uint64(0)
        for word in range(words_of_text[text], words_of_text[text + 1]):
            start, end = word_starts[word], word_ends[word]
            if word_kinds[word] == 0:
                row[8] += 1
                row[1] += 1
                row[2] += end - start
                for k in range(stop_words.size):
                    if word_hashes[word] == stop_words[k]:
                        found |= np.uint64(1) << np.uint64(k)
                continue
            for i in range(start, end):
                if not flags[characters[i]] & FILTER_PUNCTUATION:
                    row[1] += 1
                    row[2] += end - start
                    break
            for k in range(stop_words.size):
                if word_hashes[word] == stop_words[k]:
                    found |= np.uint64(1) << np.uint64(k)
        while found:
            found &= found - np.uint64(1)
            row[9] += 1
