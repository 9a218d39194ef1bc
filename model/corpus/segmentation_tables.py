"""What a character may do at a word's edge or inside it, as one table of bits over all code points.

The classes are those of spaCy's English punctuation rules (`spacy.lang.punctuation`, `spacy.lang.en.punctuation`),
written as Unicode categories and ranges, so that words come out as the published filters expect them.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.corpus.segmentation_exceptions import exceptions

SPACE = 1 << 0
PREFIX = 1 << 1  # alone at the start of a word, it is a word of its own
SUFFIX = 1 << 2  # alone at the end of a word, it is a word of its own
ALPHA = 1 << 3  # a letter, for rules that look at both sides of a mark
LOWER = 1 << 4  # of these, not a capital
UPPER = 1 << 5  # of these, not a small letter
INFIX = 1 << 6  # a word of its own wherever it stands
QUOTE = 1 << 7
BEFORE_PERIOD = 1 << 8  # a full stop after it is a word of its own
CURRENCY = 1 << 9
DIGIT = 1 << 10  # 0 to 9
LETTER = 1 << 11  # as `str.isalpha`
NUMERIC = 1 << 12  # categories Nd, Nl, No
LINE_END = 1 << 13  # as `str.splitlines`
CAREFUL = 1 << 14  # a word with such a character may have to be cut
SENTENCE_END = 1 << 15
PUNCTUATION = 1 << 16  # categories P*
FILTER_PUNCTUATION = 1 << 17  # what the Gopher rules count as punctuation, after CCNet
HOST = 1 << 18  # a letter or digit in a host name
CAPITAL = 1 << 19  # as `str.isupper` of one character
TERMINAL = 1 << 20  # what FineWeb takes for the end of a line
DECIMAL = 1 << 22  # category Nd
EXCEPTION_END = 1 << 21  # an exception of two characters and more ends in it

N_SHAPES = 16384
N_CODE_POINTS = sys.maxunicode + 1
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, 2^64 / golden ratio: spreads code points over 64 bits
START = 0x2545F4914F6CDD1D

MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉\u2329\u232a⟦⟧"
CURRENCIES = "$£€¥฿﷼\u20a0-\u20bf"
UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph "
    "hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г "
    "мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام "
    "جم كغ ملغ كوب اكواب"
)
LONGEST_UNIT = 5
LONGEST_EXCEPTION = max(map(len, exceptions()))

# Scripts without capitals, whose letters count as small and as capital alike: Ethiopic, Bengali, Hebrew, Arabic,
# Sinhala, Devanagari, Tamil, Telugu, Kannada, Hangul, Kana, and the ideographs with their marks.
UNCASED = (
    "\u1200-\u137f\u0980-\u09ff\u0591-\u05f4\ufb1d-\ufb4f\u0620-\u064a\u066e-\u06d5\u06e5-\u06ff\u0750-\u077f\u08a0-\u08bd"
    "\ufb50-\ufbb1\ufbd3-\ufd3d\ufd50-\ufdc7\ufdf0-\ufdfb\ufe70-\ufefc\U0001ee00-\U0001eebb\u0d80-\u0dff\u0900-\u097f"
    "\u0b80-\u0bff\u0c00-\u0c7f\u0c80-\u0cff\uac00-\ud7af\u1100-\u11ff\u3040-\u30ff\u4e00-\u9fff\u3400-\u4dbf"
    "\U00020000-\U0002ebef\u2e80-\u2fdf\u2ff0-\u303f\u31c0-\u31ef\u3200-\u33ff\uf900-\ufaff\ufe30-\ufe4f"
    "\U0001f200-\U0001f2ff\U0002f800-\U0002fa1f"
)
LATIN = "A-Za-zＡ-Ｚａ-ｚÀ-ÖØ-öø-ƿǄ-ɏⱠ-ⱻⱾⱿꜢ-ꝯꝱ-ꞇꞋ-ꞎꞐ-ꞹꟺꬰ-ꭚꭠ-ꭤɐ-ʯᴀ-ᴥᵫ-ᵷᵹ-ᶚḀ-ỿ"
OTHER_CASED = "ёа-яЁА-ЯәөүҗңһӘӨҮҖҢҺα-ωάέίόώήύΑ-ΩΆΈΊΌΏΉΎіїєґІЇЄҐѓѕјљњќѐѝЃЅЈЉЊЌЀЍ"
# Marks that end a sentence: Unicode's property Sentence_Terminal (UAX 29), fixed here so that no library's version of
# Unicode changes a decision; and those that later versions added.
SENTENCE_ENDS = (
    "!.?\u0589\u061f\u06d4\u0700-\u0702\u07f9\u0964\u0965\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u1803"
    "\u1809\u1944\u1945\u1aa8-\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047-\u2049\u2e2e"
    "\u2e3c\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1"
    "\uabeb\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61\U00010a56\U00010a57\U00011047\U00011048\U000110be-\U000110c1"
    "\U00011141-\U00011143\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b"
    "\U0001123c\U000112a9\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7\U00011641\U00011642"
    "\U0001173c-\U0001173e\U00011a42\U00011a43\U00011a9b\U00011a9c\U00011c41\U00011c42\U00016a6e\U00016a6f"
    "\U00016af5\U00016b37\U00016b38\U00016b44\U0001bc9f\U0001da88"
)
LINE_TERMINALS = (
    "\u061d\u061e\u0837\u0839\u083d\u083e\u17d4-\u17d6\u17d9\u17da\u1b7d\u1b7e\u2e53\u2e54\U00010f55-\U00010f59"
    "\U00010f86-\U00010f89\U00011944\U00011946\U00011ef7\U00011ef8\U00011f43\U00011f44\U00016e98"
)
# CCNet's list of punctuation (Wenzek et al. 2020, `text_normalizer`), which datatrove's Gopher filter extends by the
# control characters and by all marks that end a sentence.
CCNET_PUNCTUATION = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
CCNET_CONTROLS = "\x00-\x08\x0b-\x0c\x0d-\x1f\x7f-\x9f"


class CharacterTables(NamedTuple):
    """Tables over all code points, and the exceptions by their hashes.

    Attributes:
        flags: (1114112,) uint32, the bits above.
        lower: (1114112,) uint32, the small letter of each capital that has one of one code point.
        keys: (n,) uint64, open-addressing table of the exceptions' hashes; 0 is free.
        cuts: (n,) int64, lengths of an exception's first and second piece (8 bits each); 0 keeps it whole.
        shapes: (16384,) uint8, 1 where some exception looks like this (`shape_of`).
        units: (n,) uint64, sorted hashes of the units of measure.
    """

    flags: NDArray[np.uint32]
    lower: NDArray[np.uint32]
    keys: NDArray[np.uint64]
    cuts: NDArray[np.int64]
    shapes: NDArray[np.uint8]
    units: NDArray[np.uint64]


@functools.cache
def tables() -> CharacterTables:
    """The tables, built once in a process (a fifth of a second)."""
    keys, cuts = _exception_table()
    shapes = np.zeros(N_SHAPES, np.uint8)
    shapes[[shape_of(ord(word[0]), ord(word[-2:][0]), ord(word[-1]), len(word)) for word in exceptions()]] = 1
    units = np.array(sorted({hash_of(unit) for unit in UNITS.split()}), dtype=np.uint64)
    return CharacterTables(_flags(), _lower(), keys, cuts, shapes, units)


def shape_of(first: int, second: int, last: int, length: int) -> int:
    """A small number of what can be seen of a word without reading it; `second` is the last letter but one."""
    return (first * 37 ^ second * 2741 ^ last * 1201 ^ length * 409) & (N_SHAPES - 1)


def hash_of(word: str) -> int:
    """The polynomial hash that the kernels compute of a word's code points."""
    value = START
    for character in word:
        value = (value * MULTIPLIER + ord(character)) & 0xFFFFFFFFFFFFFFFF
    return value


def _exception_table() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    found = exceptions()
    size = 1 << (2 * len(found)).bit_length()
    keys, cuts = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for word, pieces in found.items():
        value = hash_of(word)
        slot = (value >> 20) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot] = value
        lengths = [len(piece) for piece in pieces[:-1]] + [0, 0]
        cuts[slot] = lengths[0] | lengths[1] << 8
    return keys, cuts


def _flags() -> NDArray[np.uint32]:
    categories = np.array(
        [ord(c[0]) << 8 | ord(c[1]) for c in map(unicodedata.category, map(chr, range(N_CODE_POINTS)))]
    )
    major = categories >> 8
    flags = np.zeros(N_CODE_POINTS, np.uint32)
    flags[major == ord("L")] |= LETTER
    flags[major == ord("N")] |= NUMERIC
    flags[major == ord("P")] |= PUNCTUATION
    flags[categories == _category("Lu")] |= CAPITAL
    flags[categories == _category("Nd")] |= DECIMAL

    def mark(ranges: str, bits: int) -> None:
        flags[code_points(ranges)] |= bits

    mark("".join(c for c in map(chr, range(0x3001)) if c.isspace()).replace("-", ""), SPACE)
    mark("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", LINE_END)
    mark("0-9", DIGIT | BEFORE_PERIOD)
    mark("A-Za-z0-9\u00a1-\uffff", HOST)
    _mark_letters(flags)
    icons = categories == _category("So")
    flags[icons] |= PREFIX | SUFFIX | INFIX
    mark(MARKS + QUOTES, PREFIX | SUFFIX)
    mark("§%=—–" + CURRENCIES, PREFIX)
    mark("—–", SUFFIX)
    mark("…", INFIX)
    mark(QUOTES, QUOTE)
    mark(MARKS + QUOTES + "|%²+", BEFORE_PERIOD)
    flags[ord("-")] |= BEFORE_PERIOD
    mark(CURRENCIES, CURRENCY)
    mark(SENTENCE_ENDS, SENTENCE_END | TERMINAL)
    mark(LINE_TERMINALS, TERMINAL)
    mark(CCNET_CONTROLS, FILTER_PUNCTUATION)
    for character in CCNET_PUNCTUATION:
        flags[ord(character)] |= FILTER_PUNCTUATION
    flags[(flags & TERMINAL) != 0] |= FILTER_PUNCTUATION
    for character in "+-*^.,:<>=/~–—":
        flags[ord(character)] |= CAREFUL
    for word in exceptions():
        flags[ord(word[-1])] |= EXCEPTION_END
    flags[(flags & (PREFIX | SUFFIX | INFIX | DIGIT)) != 0] |= CAREFUL
    return flags


def _mark_letters(flags: NDArray[np.uint32]) -> None:
    """Mark the letters of the scripts that the rules about neighbours know."""
    for ranges in (LATIN, OTHER_CASED):
        for code_point in code_points(ranges):
            character = chr(code_point)
            is_cased = character.lower() != character.upper()
            flags[code_point] |= ALPHA
            if character.islower() or not is_cased:
                flags[code_point] |= LOWER
            elif character.isupper() or character.istitle():
                flags[code_point] |= UPPER
    flags[code_points(UNCASED)] |= ALPHA | LOWER | UPPER
    flags[(flags & LOWER) != 0] |= BEFORE_PERIOD


def code_points(ranges: str) -> list[int]:
    """The code points of `a-z0-9_` style ranges, in order."""
    found: list[int] = []
    position = 0
    while position < len(ranges):
        first = ord(ranges[position])
        is_range = ranges[position + 1 : position + 2] == "-" and position + 2 < len(ranges)
        last = ord(ranges[position + 2]) if is_range else first
        found.extend(range(first, last + 1))
        position += 3 if is_range else 1
    return found


def _category(name: str) -> int:
    return ord(name[0]) << 8 | ord(name[1])


def _lower() -> NDArray[np.uint32]:
    lower = np.arange(N_CODE_POINTS, dtype=np.uint32)
    for code_point in range(0x1F000):  # no script beyond has capitals
        small = chr(code_point).lower()
        if len(small) == 1:
            lower[code_point] = ord(small)
    return lower
