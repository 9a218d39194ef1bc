"""Payment card numbers: issuer ranges and lengths (ISO/IEC 7812 as issued) and the Luhn digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from model.corpus.pii.context import says_card, says_phone, stands_alone
from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span

_START = r"(?<![A-Za-z0-9_.])(?<![A-Za-z0-9_][-/])"
_END = r"(?![A-Za-z0-9_])(?![-./][A-Za-z0-9])"
IN_A_ROW = re.compile(r"\d[ \t|,;]{1,3}\Z"), re.compile(r"[ \t|]{1,3}\d{4}")  # more numbers beside it
CARD = re.compile(
    rf"{_START}(?=(?P<long>\d{{4}}(?P<a>[ .-]|  )\d{{4}}(?P=a)\d{{4}}(?P=a)\d{{4}}(?P=a)\d{{1,3}}{_END})?"
    rf"(?P<usual>\d{{4}}(?P<b>[ .-]|  )\d{{4}}(?P=b)\d{{4}}(?P=b)\d{{1,4}}{_END})?"
    rf"(?P<six>\d{{4}}(?P<c>[ .-]|  )\d{{6}}(?P=c)\d{{4,5}}{_END})?"
    rf"(?P<plain>\d{{12,19}}{_END})?)\d"
)
ISSUERS: tuple[tuple[re.Pattern[str], frozenset[int]], ...] = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        (r"4", {13, 16, 19}),  # Visa
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),  # Mastercard
        (r"3[47]", {15}),  # American Express
        (r"6011|64[4-9]|65", {16, 17, 18, 19}),  # Discover
        (r"62|81", {16, 17, 18, 19}),  # UnionPay
        (r"30[0-5]|3095|3[689]", {14, 16, 19}),  # Diners Club
        (r"35", {16, 17, 18, 19}),  # JCB
        (r"2131|1800", {15}),  # JCB, older
        (r"50(?:18|20|38)|5[678]\d\d|6304|6390|67(?:59|6[1-3])|0604", {12, 13, 14, 15, 16, 17, 18, 19}),  # Maestro
        (r"220[0-4]", {16, 17, 18, 19}),  # Mir
        (r"60|82|508", {16}),  # RuPay
        (r"636|637|63[89]", {16}),  # InstaPayment and others
    )
)


def find_cards(text: Prepared) -> Iterator[Span]:
    """Card numbers, whole or in groups of four (or 4-6-5, 4-6-4), parted by one sign or by spaces."""
    for start, end in text.numbers:
        if end - start < 12:
            continue
        for match in CARD.finditer(text.view, start, min(end + 2, len(text.view))):
            for form in ("long", "usual", "six", "plain"):
                if match[form] and is_card("".join(filter(str.isdigit, match[form]))):
                    if _may_be_card(text.view, *match.span(form)):
                        yield Span(match.start(form), match.end(form), "card")
                    break


def _may_be_card(view: str, start: int, end: int) -> bool:
    """Whether a word before it speaks of cards or paying, or nothing makes it another thing's number.

    One row of sixteen digits in forty passes issuer and check digit, so that these alone say too little.
    """
    if says_card(view, start):
        return True
    if says_phone(view, start) is False or is_article(view[start : start + 14]):
        return False
    before, after = IN_A_ROW
    in_a_row = before.search(view, max(0, start - 4), start) or after.match(view, end)
    return not in_a_row and stands_alone(view, start, end, names=False)


def is_article(number: str) -> bool:
    """Whether it is an EAN-13: thirteen digits with GS1's check digit, as every article's number is."""
    digits = number[:13]
    return digits.isdigit() and not number[13:].isdigit() and sum(map(int, digits[::2] + digits[1::2] * 3)) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether an issuer has numbers of this beginning and length, and the check digit is right."""
    known = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in ISSUERS)
    return known and luhn(digits) and len(set(digits)) > 1


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of Luhn (US patent 2,950,048; ISO/IEC 7812-1, annex B)."""
    total = sum(map(int, digits[-1::-2])) + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return total % 10 == 0
