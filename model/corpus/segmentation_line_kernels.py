"""The compiled loops that cut texts into lines and paragraphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits
from model.corpus.segmentation_hash_kernels import MULTIPLIER, START, mixed

SPACE, DIGIT, NEWLINE = bits.SPACE, bits.DIGIT, 0x0A


@allocation_free
def cut_lines(characters: Any, text_starts: Any, starts: Any, ends: Any, hashes: Any, lines_of_text: Any) -> int:
    """Cut all texts at line feeds, as `str.split` does; gives the number of lines."""
    n = 0
    for text in range(text_starts.size - 1):
        lines_of_text[text] = n
        start, value = text_starts[text], START
        for i in range(text_starts[text], text_starts[text + 1]):
            if characters[i] == NEWLINE:
                starts[n], ends[n], hashes[n] = start, i, mixed(value)
                n += 1
                start, value = i + 1, START
            else:
                value = value * MULTIPLIER + np.uint64(characters[i])
        starts[n], ends[n], hashes[n] = start, text_starts[text + 1], mixed(value)
        n += 1
    lines_of_text[text_starts.size - 1] = n
    return n


@allocation_free
def cut_paragraphs(
    characters: Any, text_starts: Any, flags: Any, starts: Any, ends: Any, hashes: Any, paragraphs_of_text: Any
) -> int:
    """Cut all texts, without the white space around them, at runs of two line feeds and more."""
    n = 0
    for text in range(text_starts.size - 1):
        paragraphs_of_text[text] = n
        start, end = text_starts[text], text_starts[text + 1]
        while start < end and flags[characters[start]] & SPACE:
            start += 1
        while start < end and flags[characters[end - 1]] & SPACE:
            end -= 1
        i, value = start, START
        while i < end:
            if characters[i] == NEWLINE and characters[i + 1] == NEWLINE:  # a text never ends in a line feed here
                starts[n], ends[n], hashes[n] = start, i, mixed(value)
                n += 1
                while characters[i] == NEWLINE:
                    i += 1
                start, value = i, START
            else:
                value = value * MULTIPLIER + np.uint64(characters[i])
                i += 1
        starts[n], ends[n], hashes[n] = start, end, mixed(value)
        n += 1
    paragraphs_of_text[text_starts.size - 1] = n
    return n


@allocation_free
def line_keys(characters: Any, starts: Any, ends: Any, flags: Any, salt: Any, longest: int, keys: Any) -> None:
    """Keys by which lines count as the same: without white space around them, all numbers alike.

    Args:
        characters: As in `Segmented`.
        starts: (n_lines,) int64.
        ends: (n_lines,) int64.
        flags: As in `CharacterTables`.
        salt: Goes into every key, so that the same line of another source has another.
        longest: Longer lines have no key.
        keys: (n_lines,) uint64 of zeros, the output: lines without a key keep the zero.
    """
    for line in range(starts.size):
        start, end = starts[line], ends[line]
        while start < end and flags[characters[start]] & SPACE:
            start += 1
        while start < end and flags[characters[end - 1]] & SPACE:
            end -= 1
        if start == end or end - start > longest:
            continue
        value, in_number = START, False
        for i in range(start, end):
            is_digit = flags[characters[i]] & DIGIT != 0
            if not (is_digit and in_number):
                character = np.uint32(0x30) if is_digit else characters[i]
                value = value * MULTIPLIER + np.uint64(character)
            in_number = is_digit
        keys[line] = mixed(value ^ np.uint64(salt)) | np.uint64(1)
