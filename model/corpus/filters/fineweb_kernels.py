"""The compiled counts behind the FineWeb rules."""

from __future__ import annotations

from typing import Any

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits
from model.corpus.filters.hash_table_kernels import is_repeated, mask_for

SPACE, TERMINAL = bits.SPACE, bits.TERMINAL


@allocation_free
def measure_lines(
    characters: Any,
    flags: Any,
    starts: Any,
    ends: Any,
    hashes: Any,
    lines_of_text: Any,
    short: int,
    alive: Any,
    keys: Any,
    stamps: Any,
    rows: Any,
) -> None:
    """Count what the line rules need.

    Args:
        characters: As in `Segmented`.
        flags: As in `CharacterTables`.
        starts: As in `Segmented.lines`, like the next three.
        ends: As there.
        hashes: As there.
        lines_of_text: As there.
        short: Characters of the longest short line.
        alive: (n_texts,) bool; other texts keep their zeros.
        keys: Hash table as `table_for` makes it.
        stamps: The stamps of its slots.
        rows: Output (n_texts, 6) int64 of zeros: lines that are not blank; of these: ending in punctuation, short;
            characters in those that came before; characters of the text without line feeds; line feeds.
    """
    for text in range(lines_of_text.size - 1):
        if not alive[text]:
            continue
        row = rows[text]
        first, last = lines_of_text[text], lines_of_text[text + 1]
        mask = mask_for(last - first)
        row[5] = last - first - 1
        for line in range(first, last):
            start, end = starts[line], ends[line]
            row[4] += end - start
            i = start
            while i < end and flags[characters[i]] & SPACE:
                i += 1
            if i == end:
                continue
            row[0] += 1
            row[1] += flags[characters[end - 1]] & TERMINAL != 0
            row[2] += end - start <= short
            if is_repeated(keys, stamps, text + 1, mask, hashes[line]):
                row[3] += end - start
