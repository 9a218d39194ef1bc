"""The compiled count of characters by class."""

from __future__ import annotations

from typing import Any

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits

CLASSES = ("letters", "digits", "punctuation", "symbols", "capitals", "non_ascii", "white_space")
LETTER, NUMERIC, PUNCTUATION, SPACE, CAPITAL = bits.LETTER, bits.NUMERIC, bits.PUNCTUATION, bits.SPACE, bits.CAPITAL


@allocation_free
def count_classes(characters: Any, text_starts: Any, flags: Any, alive: Any, rows: Any) -> None:
    """Add the characters of each text by class, in the order of `CLASSES`, to `rows`: (n_texts, 7) int64.

    What is neither letter, number, punctuation nor white space is a symbol; marks that belong to letters are none.
    """
    for text in range(text_starts.size - 1):
        if not alive[text]:
            continue
        row = rows[text]
        for i in range(text_starts[text], text_starts[text + 1]):
            flag = flags[characters[i]]
            row[5] += characters[i] > 0x7F
            if flag & LETTER:
                row[0] += 1
                row[4] += flag & CAPITAL != 0
            elif flag & NUMERIC:
                row[1] += 1
            elif flag & PUNCTUATION:
                row[2] += 1
            elif flag & SPACE:
                row[6] += 1
            else:
                row[3] += 1
