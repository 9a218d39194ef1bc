"""International bank account numbers: ISO 13616, each country's length, and the mod-97 check of ISO 7064."""

from __future__ import annotations

import re
from collections.abc import Iterator

from model.corpus.pii.shape import Prepared, places
from model.corpus.pii.spans import Span

LENGTHS = {  # SWIFT IBAN registry, release 99
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
START = b"aa00"


def find_ibans(text: Prepared) -> Iterator[Span]:
    """IBANs, whole or in groups parted by one space or dash, in upper or lower case."""
    view = text.view
    for start in places(text.shape, START):
        length = LENGTHS.get(view[start : start + 2].upper())
        if length is None or (start and (view[start - 1].isascii() and view[start - 1].isalnum())):
            continue
        end = _end_of(view, start, length)
        if end and is_iban(re.sub(r"[ -]", "", view[start:end])):
            yield Span(start, end, "iban")


def _end_of(view: str, start: int, length: int) -> int | None:
    """Where the letters and digits from `start` number `length`, if a word ends there."""
    place, seen = start, 0
    limit = min(len(view), start + 2 * length)
    while place < limit and seen < length:
        character = view[place]
        if character.isascii() and character.isalnum():
            seen += 1
        elif character not in " -" or not view[place + 1 : place + 2].isalnum():
            return None
        place += 1
    after = view[place : place + 1]
    return None if seen < length or (after.isascii() and (after.isalnum() or after == "_")) else place


def is_iban(compact: str) -> bool:
    """Whether a number without separators has its country's length and a right checksum."""
    code = compact.upper()
    if LENGTHS.get(code[:2]) != len(code) or not code[2:4].isdigit() or not code.isalnum() or not code.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1
