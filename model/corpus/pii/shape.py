"""A text prepared for the search: odd spaces and dashes made plain, and its shape, one byte per character.

The shape has `0` for an ASCII digit, `a` for an ASCII letter, `?` for anything beyond ASCII and other characters as
they are. Searching it for `0` or `aa00` is a memchr, so that a text without numbers costs next to nothing. All
replacements are one character for one, so places in view, shape and text are the same.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

PLAIN = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u3000", " "),
    "\uff20": "@",
    "\uff0b": "+",
    "\uff1a": ":",
}
SHAPE = bytes.maketrans(
    (string.digits + string.ascii_letters).encode(), b"0" * len(string.digits) + b"a" * len(string.ascii_letters)
)
NUMBER = re.compile(rb"0[0 .()/-]{5,}")
FEWEST_DIGITS = 6
LONGEST_NUMBER = 19  # digits of the longest card number


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text as the finders see it.

    Attributes:
        view: The text with plain spaces, dashes and signs.
        shape: One byte per character, see the module.
        numbers: Start and end of each run of digits and separators that may hold a number with six digits or more.
    """

    view: str
    shape: bytes
    numbers: tuple[tuple[int, int], ...]


def prepare(text: str) -> Prepared:
    """Prepare a text; linear time, twice its characters in memory."""
    if not text.isascii():
        for odd, plain in PLAIN.items():
            if odd in text:
                text = text.replace(odd, plain)
    shape = text.encode("ascii", "replace").translate(SHAPE)
    runs = (match.span() for match in NUMBER.finditer(shape))
    return Prepared(text, shape, tuple(run for run in runs if _may_tell(shape, *run)))


def _may_tell(shape: bytes, start: int, end: int) -> bool:
    """Whether a run has enough digits, two of them side by side somewhere, and is no endless row of digits."""
    digits = shape.count(b"0", start, end)
    if digits < FEWEST_DIGITS or (digits == end - start and digits > LONGEST_NUMBER):
        return False
    return shape.find(b"00", start, end) >= 0


def places(shape: bytes, needle: bytes) -> Iterator[int]:
    """Where a literal stands in a shape; overlapping places count as well."""
    place = shape.find(needle)
    while place >= 0:
        yield place
        place = shape.find(needle, place + 1)
