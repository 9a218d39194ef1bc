"""Tunes in ABC notation as signs: fields, bars, notes with their durations, chords. Nothing is lost.

The notation: abcnotation.com/wiki/abc:standard:v2.1 (Walshaw et al. 2011).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Kind = Literal[
    "field", "comment", "bar", "chord", "note", "rest", "symbol", "decoration", "tuplet", "rhythm", "tie", "group",
    "space", "line", "text",
]  # fmt: skip

_NOTE = r"(?:\^\^|__|\^|_|=)?[A-Ga-g][,']*"
_LENGTH = r"(?:\d+(?:/\d+)?|/+\d*)?"
_SIGNS = re.compile(
    "|".join(
        f"(?P<{name}>{rule})"
        for name, rule in {
            "field": r"(?m:^[A-Za-z+]:)[^\n%]*|\[[A-Za-z]:[^\]\n]*\]",
            "comment": r"%[^\n]*",
            "chord": rf"\[(?:{_NOTE}{_LENGTH})+\]{_LENGTH}",
            "bar": r"(?::+\|+(?:\]|:+)?|\|+:+|::|\|\]|\[\||\|{1,2})(?:\[?\d)?|\[\d",
            "note": rf"{_NOTE}{_LENGTH}",
            "rest": rf"[xyzXZ]{_LENGTH}",
            "symbol": r'"[^"\n]*"',
            "decoration": r"![^!\n ]+!|\+[^+\n ]+\+|[~.HLMOPSTuv]",
            "tuplet": r"\(\d(?::\d?){0,2}",
            "rhythm": r"<{1,3}|>{1,3}",
            "tie": r"-",
            "group": r"[(){}]",
            "space": r"[ \t]+",
            "line": r"\n",
            "text": r"[^\n]",
        }.items()
    )
)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"^^": 2, "^": 1, "": 0, "=": 0, "_": -1, "__": -2}
_NOTE_PARTS = re.compile(rf"(\^\^|__|\^|_|=|)([A-Ga-g])([,']*)({_LENGTH})")


@dataclass(frozen=True)
class Sign:
    """One sign of a tune.

    Attributes:
        kind: What it is; `text` is a character that has no meaning here.
        text: As written.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Note:
    """What a note sounds like, without the key's own accidentals.

    Attributes:
        pitch: MIDI number; `C` is 60.
        length: In units of the tune's `L:` field.
    """

    pitch: int
    length: Fraction


def signs(tune: str) -> list[Sign]:
    """The signs of a tune in order; their texts put together are the tune. Linear in its length."""
    return [Sign(match.lastgroup, match[0]) for match in _SIGNS.finditer(tune)]  # type: ignore[arg-type]


def notes(sign: Sign) -> list[Note]:
    """The notes of a note or chord, none for any other sign."""
    if sign.kind == "note":
        return [_note(*found) for found in _NOTE_PARTS.findall(sign.text)]
    if sign.kind == "chord":
        inside, _, factor = sign.text[1:].rpartition("]")
        return [
            Note(note.pitch, note.length * _length(factor))
            for note in (_note(*found) for found in _NOTE_PARTS.findall(inside))
        ]
    return []


def _note(accidental: str, letter: str, octaves: str, length: str) -> Note:
    octave = letter.islower() + octaves.count("'") - octaves.count(",")
    return Note(60 + _STEPS[letter.upper()] + 12 * octave + _ACCIDENTALS[accidental], _length(length))


def _length(text: str) -> Fraction:
    """`3/2`, `2`, `/` (a half), `//` (a quarter), `/4`; nothing is 1. Division by zero counts as 1."""
    if not text:
        return Fraction(1)
    times, slashes, parts = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    divisor = int(parts) if parts else 2 ** len(slashes)
    return Fraction(int(times or 1), divisor or 1)
