"""Numbers that a state gives to a person: by their form and check digits, and by words where the form is common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from model.corpus.pii import check_digits
from model.corpus.pii.context import says_id
from model.corpus.pii.shape import Prepared, places
from model.corpus.pii.spans import Span

_START = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_][-./+])"
_END = r"(?![A-Za-z0-9_])(?![-./][A-Za-z0-9])"
SEPARATORS = re.compile(r"[ ./+-]")
FINNISH_SHAPES = (b"000000-000", b"000000+000", b"000000a000")
FISCAL_SHAPE = b"00a00a000a"


@dataclass(frozen=True)
class Form:
    """One country's number.

    Attributes:
        pattern: How it is written.
        is_valid: Its check, over the number without separators.
        named: Whether a word before it must name it, because other numbers look the same.
    """

    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    named: bool = False


def _form(pattern: str, is_valid: Callable[[str], bool], named: bool = False) -> Form:
    return Form(re.compile(_START + pattern + _END, re.IGNORECASE), is_valid, named)


FORMS = (
    _form(r"\d{3}-\d{2}-\d{4}", check_digits.us_social_security),
    _form(r"\d{3}([-. ]?)\d{2}\1\d{4}", check_digits.us_social_security, named=True),
    _form(r"\d{3}([- ]?)\d{2}\1\d{4}", check_digits.us_taxpayer, named=True),
    _form(r"[A-Z]{2}([ -]?)\d{2}\1\d{2}\1\d{2}\1[A-D]", check_digits.uk_national_insurance),
    _form(r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", check_digits.french_nir),
    _form(r"(?:\d{8}|[XYZ]-?\d{7})[- ]?[A-Z]", check_digits.spanish_dni),
    _form(r"(?:\d{2})?\d{6}[-+]\d{4}", check_digits.swedish_personal),
    _form(r"(?:19|20)?\d{10}", check_digits.swedish_personal, named=True),
    _form(r"\d{3}\.\d{3}\.\d{3}-\d{2}", check_digits.brazilian_cpf),
    _form(r"\d{11}", check_digits.brazilian_cpf, named=True),
    _form(r"(?<!\d[ -])\d{4}([ -])\d{4}\1\d{4}(?![ -]\d)", check_digits.indian_aadhaar),
    _form(r"\d{12}", check_digits.indian_aadhaar, named=True),
    _form(r"\d{3}([ -]?)\d{3}\1\d{3}", check_digits.canadian_social_insurance, named=True),
    _form(r"\d{17}[\dX]", check_digits.chinese_identity),
    _form(r"\d{11}", check_digits.polish_pesel, named=True),
    _form(r"\d{9}", check_digits.dutch_citizen, named=True),
    _form(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", check_digits.german_tax, named=True),
)
FINNISH = re.compile(rf"{_START}\d{{6}}[-+A-FU-Y]\d{{3}}[0-9A-Z]{_END}", re.IGNORECASE)
FISCAL_CODE = re.compile(rf"{_START}[A-Z]{{6}}\d{{2}}[A-EHLMPR-T]\d{{2}}[A-Z]\d{{3}}[A-Z]{_END}", re.IGNORECASE)


def find_national_ids(text: Prepared) -> Iterator[Span]:
    """Social security, tax and identity numbers of the countries in `FORMS`, of Finland and of Italy."""
    view = text.view
    for start, end in text.numbers:
        first, last = max(0, start - 3), min(len(view), end + 3)
        for form in FORMS:
            for match in form.pattern.finditer(view, first, last):
                if form.is_valid(SEPARATORS.sub("", match[0]).upper()):
                    says = says_id(view, match.start())
                    if says or (says is None and not form.named):
                        yield Span(match.start(), match.end(), "national_id")
    yield from _with_letters(text)


def _with_letters(text: Prepared) -> Iterator[Span]:
    for shape in FINNISH_SHAPES:
        for place in places(text.shape, shape):
            match = FINNISH.match(text.view, place)
            if match and check_digits.finnish_personal(match[0].upper()):
                yield Span(match.start(), match.end(), "national_id")
    for place in places(text.shape, FISCAL_SHAPE):
        match = FISCAL_CODE.match(text.view, max(0, place - 6))
        if match and check_digits.italian_fiscal_code(match[0].upper()):
            yield Span(match.start(), match.end(), "national_id")
