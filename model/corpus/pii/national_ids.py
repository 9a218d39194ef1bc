"""Numbers that a state gives to a person: by their form and check digits, and by words where the form is common.

python-stdnum knows the checks (digits, dates, blocks never issued); what is ours is where such a number begins and ends
in a text, and whether the words around it allow it. The UK's number has no check digit: its prefixes are HMRC's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import itin, ssn

from model.corpus.pii.context import says_id, stands_alone
from model.corpus.pii.shape import Prepared, places
from model.corpus.pii.spans import Span

_START = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_][-./+])"
_END = r"(?![A-Za-z0-9_])(?![-./][A-Za-z0-9])"
FINNISH_SHAPES = (b"000000-000", b"000000+000", b"000000a000")
FISCAL_SHAPE = b"00a00a000a"
NEVER_ISSUED = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})
Needs = Literal["nothing", "room", "name"]


@dataclass(frozen=True)
class Form:
    """One country's number.

    Attributes:
        pattern: How it is written.
        is_valid: Its check, over the number as it is written, in upper case.
        needs: What must be around it: nothing; room, that is no word that makes it some other thing's; or a word
            before it that names it, because other numbers look the same.
    """

    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    needs: Needs = "nothing"


def _form(pattern: str, is_valid: Callable[[str], bool], needs: Needs = "nothing") -> Form:
    return Form(re.compile(_START + pattern + _END, re.IGNORECASE), is_valid, needs)


def _uk_national_insurance(written: str) -> bool:
    """Prefixes that are never issued are refused (HMRC manual NIM39110)."""
    return written[0] not in "DFIQUV" and written[1] not in "DFIQUVO" and written[:2] not in NEVER_ISSUED


def _spanish(written: str) -> bool:
    return bool(dni.is_valid(written) or nie.is_valid(written))


FORMS = (
    _form(r"\d{3}-\d{2}-\d{4}", ssn.is_valid),
    _form(r"\d{3}([-. ]?)\d{2}\1\d{4}", lambda n: bool(ssn.is_valid(re.sub(r"[. ]", "-", n))), "name"),
    _form(r"\d{3}([- ]?)\d{2}\1\d{4}", lambda n: bool(itin.is_valid(n.replace(" ", "-"))), "name"),
    _form(r"[A-Z]{2}([ -]?)\d{2}\1\d{2}\1\d{2}\1[A-D]", _uk_national_insurance),
    _form(r"[12]( ?)\d{2}\1\d{2}\1(?:\d{2}|2[AB])\1\d{3}\1\d{3}\1\d{2}", nir.is_valid),
    _form(r"(?:\d{8}|[XYZ]-?\d{7})[- ]?[A-Z]", _spanish, "room"),
    _form(r"(?:\d{2})?\d{6}[-+]\d{4}", personnummer.is_valid),
    _form(r"(?:19|20)?\d{10}", lambda n: bool(personnummer.is_valid(f"{n[:-4]}-{n[-4:]}")), "name"),
    _form(r"\d{3}\.\d{3}\.\d{3}-\d{2}", cpf.is_valid),
    _form(r"\d{11}", cpf.is_valid, "name"),
    _form(r"(?<!\d[ -])\d{4}([ -]?)\d{4}\1\d{4}(?![ -]\d)", aadhaar.is_valid, "name"),
    _form(r"\d{3}([ -]?)\d{3}\1\d{3}", sin.is_valid, "name"),
    _form(r"\d{17}[\dX]", ric.is_valid),
    _form(r"\d{11}", pesel.is_valid, "name"),
    _form(r"\d{9}", bsn.is_valid, "name"),
    _form(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", idnr.is_valid, "name"),
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
                if form.is_valid(match[0].upper()) and _may_be(form, view, *match.span()):
                    yield Span(match.start(), match.end(), "national_id")
    yield from _with_letters(text)


def _may_be(form: Form, view: str, start: int, end: int) -> bool:
    says = says_id(view, start)
    if says is not None or form.needs == "name":
        return bool(says)
    return form.needs == "nothing" or stands_alone(view, start, end, names=False)


def _with_letters(text: Prepared) -> Iterator[Span]:
    for shape in FINNISH_SHAPES:
        for place in places(text.shape, shape):
            match = FINNISH.match(text.view, place)
            if match and hetu.is_valid(match[0].upper()):
                yield Span(match.start(), match.end(), "national_id")
    for place in places(text.shape, FISCAL_SHAPE):
        match = FISCAL_CODE.match(text.view, max(0, place - 6))
        if match and codicefiscale.is_valid(match[0].upper()):
            yield Span(match.start(), match.end(), "national_id")
