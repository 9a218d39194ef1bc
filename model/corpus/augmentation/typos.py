"""Typing errors as a person makes them."""

from __future__ import annotations

import random

from model.corpus.augmentation.config import Typos

ROWS = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
}


def neighbours(layout: str) -> dict[str, str]:
    """The letters next to each letter: left, right, and the two above and below that touch it."""
    rows = ROWS[layout]
    found: dict[str, str] = {}
    for number, row in enumerate(rows):
        for place, letter in enumerate(row):
            near = [(number, place - 1), (number, place + 1)]
            near += [(number - 1, place), (number - 1, place + 1), (number + 1, place - 1), (number + 1, place)]
            found[letter] = "".join(rows[y][x] for y, x in near if 0 <= y < len(rows) and 0 <= x < len(rows[y]))
    return found


def make_typos(operation: Typos, text: str, r: random.Random) -> str:
    """Some letters mistyped; digits, signs and white space stay."""
    near, pieces, place = neighbours(operation.layout), [], 0
    while place < len(text):
        letter = text[place]
        place += 1
        if not letter.isalpha() or r.random() >= operation.rate:
            pieces.append(letter)
            continue
        kind = r.choice(operation.kinds)
        if kind == "swap" and place < len(text) and text[place].isalpha():
            pieces += [text[place], letter]
            place += 1
        elif kind == "double":
            pieces.append(letter * 2)
        elif kind == "neighbour" and letter.lower() in near:
            other = r.choice(near[letter.lower()])
            pieces.append(other.upper() if letter.isupper() else other)
        elif kind != "omit":
            pieces.append(letter)
    return "".join(pieces)
