"""Repairs of a text, each optional, in one fixed order; running them twice changes nothing more.

Mojibake is repaired by ftfy's `fix_encoding` steps alone: quotes, ligatures, widths and HTML entities stay as the
author wrote them.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal

from model.corpus.config import NormalizeConfig

# C0, DEL and C1 without white space; marks that say nothing in a plain text; the byte order mark.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff\ufff9-\ufffb\u206a-\u206f]")
ASCII_CONTROL_CHARACTERS = bytes(i for i in range(128) if CONTROL_CHARACTERS.match(chr(i)))
LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")
ASCII_LINE_ENDS, ASCII_SPACES = "\r\x0b\x0c\x1c\x1d\x1e\x1f", " \t"
ODD_LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"
SPACES = " \t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
SPACES_AT_LINE_ENDS = re.compile(r"[^\S\n]+$", re.MULTILINE)
MANY_BLANK_LINES = re.compile(r"\n{4,}")
# Two characters beyond ASCII in a row, or what a no-break space or a lost byte has become, or a lone C1 control.
MAY_BE_MOJIBAKE = re.compile("[^\x00-\x7f](?:[^\x00-\x7f]|\x1a)|[\xc2\xc3][ ]|[\x80-\x9f]")

Repair = Callable[[str], str]


def repairs(config: NormalizeConfig) -> dict[str, Repair]:
    """The repairs that a config asks for, by name, in the order in which they are made."""
    chosen: dict[str, Repair] = {}
    if config.fix_mojibake:
        chosen["fix_mojibake"] = fix_mojibake
    if config.control_characters:
        chosen["control_characters"] = remove_control_characters
    if config.lowercase:
        chosen["lowercase"] = str.lower
    if config.unicode_form != "none":
        chosen["unicode_form"] = functools.partial(to_unicode_form, form=config.unicode_form, lower=config.lowercase)
    if config.white_space:
        chosen["white_space"] = tidy_white_space
    if config.correct_misspellings:
        from model.corpus.spelling import correct_misspellings

        chosen["correct_misspellings"] = correct_misspellings
    return chosen


def fix_mojibake(text: str) -> str:
    """Text that was decoded with the wrong encoding, decoded right: `cafÃ©` becomes `café`.

    ftfy, which is slow, judges line by line, and only lines that may hold mojibake: it stands for UTF-8 sequences of
    two bytes and more, so an accented letter between ASCII letters is none.
    """
    if text.isascii() or MAY_BE_MOJIBAKE.search(text) is None:
        return text
    fix_line = _line_fixer()
    return "\n".join(fix_line(line) if MAY_BE_MOJIBAKE.search(line) else line for line in text.split("\n"))


@functools.cache
def _line_fixer() -> Repair:
    import ftfy

    only_encoding: dict[str, Any] = {
        "unescape_html": False,
        "remove_terminal_escapes": False,
        "fix_latin_ligatures": False,
        "fix_character_width": False,
        "uncurl_quotes": False,
        "fix_line_breaks": False,
        "fix_surrogates": False,
        "remove_control_chars": False,
        "normalization": None,
    }
    config = ftfy.TextFixerConfig(**only_encoding)

    def fix(line: str) -> str:
        return str(ftfy.fix_text(line, config))

    return fix


def remove_control_characters(text: str) -> str:
    """The text without control characters; white space is left to `tidy_white_space`."""
    return CONTROL_CHARACTERS.sub("", text) if count_control_characters(text) else text


def count_control_characters(text: str) -> int:
    """How many control characters a text has, see `CONTROL_CHARACTERS`; ten times as fast in ASCII."""
    if text.isascii():
        return len(text) - len(text.encode("ascii").translate(None, ASCII_CONTROL_CHARACTERS))
    return len(CONTROL_CHARACTERS.findall(text))


def to_unicode_form(text: str, form: Literal["NFC", "NFKC"], lower: bool = False) -> str:
    """The text in a Unicode normal form; with `lower`, also what the form turned into capitals."""
    normal = unicodedata.normalize(form, text)
    return unicodedata.normalize(form, normal.lower()) if lower else normal


def tidy_white_space(text: str) -> str:
    r"""Lines end in `\n` with no spaces before it; at most two blank lines follow each other; none at either end."""
    # looking for single characters first is many times as fast as the expressions, which most texts do not need
    ends, spaces = (ASCII_LINE_ENDS, ASCII_SPACES) if text.isascii() else (ODD_LINE_ENDS, SPACES)
    if any(end in text for end in ends):
        text = LINE_ENDS.sub("\n", text)
    if any(f"{space}\n" in text for space in spaces):
        text = SPACES_AT_LINE_ENDS.sub("", text)
    if "\n\n\n\n" in text:
        text = MANY_BLANK_LINES.sub("\n\n\n", text)
    return text.strip()
