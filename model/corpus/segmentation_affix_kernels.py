"""The compiled rules about what is a word of its own at the edges of a word or inside it."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits
from model.corpus.segmentation_hash_kernels import polynomial

SPACE, PREFIX, SUFFIX, INFIX = bits.SPACE, bits.PREFIX, bits.SUFFIX, bits.INFIX
ALPHA, LOWER, UPPER, QUOTE = bits.ALPHA, bits.LOWER, bits.UPPER, bits.QUOTE
BEFORE_PERIOD, CURRENCY, DIGIT, HOST = bits.BEFORE_PERIOD, bits.CURRENCY, bits.DIGIT, bits.HOST
LETTER, NUMERIC, CAREFUL, EXCEPTION_END = bits.LETTER, bits.NUMERIC, bits.CAREFUL, bits.EXCEPTION_END
LONGEST_UNIT, LONGEST_EXCEPTION = bits.LONGEST_UNIT, bits.LONGEST_EXCEPTION
PERIOD, COMMA, COLON, SLASH, HYPHEN, PLUS, AT, DOLLAR = 0x2E, 0x2C, 0x3A, 0x2F, 0x2D, 0x2B, 0x40, 0x24
ELLIPSIS, EN_DASH, EM_DASH, TILDE, DEGREE, UNDERSCORE = 0x2026, 0x2013, 0x2014, 0x7E, 0xB0, 0x5F
STRAIGHT, CURLY, NEWLINE = 0x27, 0x2019, 0x0A

shape_of = numba.njit(bits.shape_of)


@allocation_free
def _cuts_of(keys: Any, cuts: Any, value: Any) -> int:
    """The cuts of an exception, or -1 when the hash is none's."""
    mask = np.uint64(keys.size - 1)
    slot = (value >> np.uint64(20)) & mask
    while keys[slot] != 0:
        if keys[slot] == value:
            return int(cuts[slot])
        slot = (slot + np.uint64(1)) & mask
    return -1


@allocation_free
def exception_at(characters: Any, start: int, end: int, keys: Any, cuts: Any, shapes: Any) -> int:
    """The cuts of the exception that stands in [start, end), or -1."""
    second = max(start, end - 2)
    if not shapes[shape_of(int(characters[start]), int(characters[second]), int(characters[end - 1]), end - start)]:
        return -1
    if end - start > LONGEST_EXCEPTION:
        return -1
    return _cuts_of(keys, cuts, polynomial(characters, start, end))


@allocation_free
def prefix_length(characters: Any, start: int, end: int, flags: Any) -> int:
    """How many characters at the start are a word of their own."""
    first = characters[start]
    if flags[first] & PREFIX:
        return 1
    if first == PLUS:
        return 1 if start + 1 == end or not flags[characters[start + 1]] & DIGIT else 0
    if first == PERIOD:
        n = 1
        while start + n < end and characters[start + n] == PERIOD:
            n += 1
        return n if n > 1 else 0
    is_dollar = end - start > 1 and characters[start + 1] == DOLLAR and first in (0x43, 0x41)  # C$ A$
    if is_dollar:
        return 2
    if first == 0x55 and end - start > 2 and characters[start + 1] == 0x53 and characters[start + 2] == DOLLAR:  # US$
        return 3
    return 0


@allocation_free
def _unit(characters: Any, start: int, end: int, flags: Any, units: Any) -> int:
    """How many characters at the end are a unit or a currency after a digit."""
    last = characters[end - 1]
    for n in range(min(LONGEST_UNIT, end - start - 1), 0, -1):
        if flags[characters[end - n - 1]] & DIGIT:
            if n == 1 and flags[last] & CURRENCY:
                return 1
            if last == DOLLAR and (n == 3 and characters[end - 3] == 0x55 and characters[end - 2] == 0x53):
                return n
            if last == DOLLAR and n == 2 and (characters[end - 2] == 0x43 or characters[end - 2] == 0x41):
                return n
            value = polynomial(characters, end - n, end)
            place = np.searchsorted(units, value)
            if place < units.size and units[place] == value:
                return n
    return 0


@allocation_free
def full_stops(characters: Any, start: int, end: int, flags: Any) -> int:
    """How many of the full stops at the end are a word of their own."""
    n = 1
    while end - n - 1 >= start and characters[end - n - 1] == PERIOD:
        n += 1
    if n > 1:
        return n
    if end - start > 1 and flags[characters[end - 2]] & BEFORE_PERIOD:
        return 1
    if end - start > 2:
        before, second = characters[end - 2], characters[end - 3]
        if flags[before] & UPPER and flags[second] & UPPER:
            return 1
        if second == DEGREE and (before | 0x20) in (0x66, 0x63, 0x6B):
            return 1
    return 0


@allocation_free
def suffix_length(characters: Any, start: int, end: int, flags: Any, units: Any) -> int:
    """How many characters at the end of [start, end) are a word of their own."""
    if start >= end:
        return 0
    last = characters[end - 1]
    before = characters[end - 2] if end - start > 1 else np.uint32(0)
    if last == PERIOD:
        return full_stops(characters, start, end, flags)
    if (last | 0x20) == 0x73 and before in (STRAIGHT, CURLY):  # 's
        return 2
    if last == ELLIPSIS and before == ELLIPSIS:
        return 2
    if last == PLUS:
        return 1 if flags[before] & DIGIT and end - start > 1 else 0
    unit = _unit(characters, start, end, flags, units)
    if unit:
        return unit
    return 1 if flags[last] & SUFFIX else 0


@allocation_free
def _hyphens(characters: Any, i: int, end: int) -> int:
    """How many hyphens or dashes that can join two words start at i: - -- --- (en, em) dash, two em dashes, ~."""
    first = characters[i]
    n = 1
    if first == HYPHEN:
        while n < 3 and i + n < end and characters[i + n] == HYPHEN:
            n += 1
        return n
    if first == EM_DASH:
        return 2 if i + 1 < end and characters[i + 1] == EM_DASH else 1
    return 1 if first in (EN_DASH, TILDE) else 0


@allocation_free
def infix_length(characters: Any, start: int, i: int, end: int, flags: Any) -> int:
    """How many characters at i are a word of their own inside the word [start, end)."""
    character = characters[i]
    flag = flags[character]
    if flag & INFIX:
        return 1
    if not flag & CAREFUL:
        return 0
    if character == PERIOD:
        n = 1
        while i + n < end and characters[i + n] == PERIOD:
            n += 1
        if n > 1:
            return n
    if i == start or i + 1 >= end:
        return 0
    before, after = flags[characters[i - 1]], flags[characters[i + 1]]
    if character in (PLUS, HYPHEN, 0x2A, 0x5E) and before & DIGIT and (after & DIGIT or characters[i + 1] == HYPHEN):
        return 1
    if character == PERIOD:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if character == COMMA:
        return 1 if before & ALPHA and after & ALPHA else 0
    if not before & (ALPHA | DIGIT):
        return 0
    if character in (COLON, 0x3C, 0x3E, 0x3D, SLASH):
        return 1 if after & ALPHA else 0
    n = _hyphens(characters, i, end)
    return n if n and i + n < end and flags[characters[i + n]] & ALPHA else 0


@allocation_free
def _octet(characters: Any, start: int, end: int, flags: Any) -> int:
    """The number in [start, end) when it is one of up to three digits, else -1."""
    if not 1 <= end - start <= 3:
        return -1
    value = 0
    for i in range(start, end):
        if not flags[characters[i]] & DIGIT:
            return -1
        value = value * 10 + int(characters[i]) - 0x30
    return value


@allocation_free
def _is_host(characters: Any, start: int, end: int, flags: Any) -> bool:
    """Whether [start, end) is a host name with a top-level domain in small letters, or an IPv4 address."""
    label, n_labels, n_octets, first_octet = start, 0, 0, -1
    for i in range(start, end + 1):
        if i < end and characters[i] != PERIOD:
            continue
        octet = _octet(characters, label, i, flags)
        n_octets += 0 <= octet <= 255
        first_octet = octet if n_labels == 0 else first_octet
        if i == end:
            break
        if label == i or i - label > 64 or not flags[characters[label]] & HOST or not flags[characters[i - 1]] & HOST:
            return False
        n_labels += 1
        label = i + 1
    if n_labels == 3 and n_octets == 4:
        return 0 < first_octet < 224 and first_octet not in (10, 127)
    if n_labels == 0 or not 2 <= end - label <= 63:
        return False
    n_small = 0
    for i in range(label, end):
        n_small += flags[characters[i]] & LOWER != 0
    return n_small == end - label


@allocation_free
def _is_address(characters: Any, start: int, end: int, flags: Any) -> bool:
    """Whether a host, optional port and path fill [start, end)."""
    i = start
    while i < end:
        character = characters[i]
        if not (flags[character] & HOST or character in (PERIOD, HYPHEN, UNDERSCORE)):
            break
        i += 1
    if not _is_host(characters, start, i, flags):
        return False
    if i < end and characters[i] == COLON:
        n = 1
        while i + n < end and flags[characters[i + n]] & DIGIT:
            n += 1
        if not 3 <= n <= 6:
            return False
        i += n
    return i == end or characters[i] in (SLASH, 0x3F, 0x23)  # / ? #


@allocation_free
def is_url(characters: Any, start: int, end: int, flags: Any) -> bool:
    """Whether [start, end) is a web or mail address (after Diego Perini's expression, as spaCy uses it)."""
    period, at, scheme = -1, -1, -1
    for i in range(start, end):
        character = characters[i]
        if character == PERIOD and period < 0:
            period = i
        elif character == AT and i > start:
            at = i
        elif (
            character == COLON
            and scheme < 0
            and i + 2 < end
            and characters[i + 1] == SLASH
            and characters[i + 2] == SLASH
        ):
            scheme = i
    if period < 0:
        return False
    if _is_address(characters, start, end, flags) or (at > 0 and _is_address(characters, at + 1, end, flags)):
        return True
    if scheme < start + 2:
        return False
    for i in range(start, scheme):
        character = characters[i]
        if not (flags[character] & (LETTER | NUMERIC) or character in (PERIOD, HYPHEN, PLUS, UNDERSCORE)):
            return False
    return _is_address(characters, scheme + 3, end, flags)
