"""Telephone numbers: international ones by their calling code, national ones by their grouping or the words before.

Which international numbers there are is known to phonenumbers (Google's libphonenumber); its own search in texts is not
used, since it wants to know a country beforehand. A number without any separator, or in a grouping that other numbers
share, counts only where a word like `phone` or `call` stands before it, or nothing around it makes it some thing's; a
word like `order` or `version` rules a number out. The nearest such word decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from model.corpus.pii.cards import is_article
from model.corpus.pii.context import says_phone, stands_alone
from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span

_START = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_][-./+#])(?<![$€£¥])(?<![$€£¥] )"
_END = r"(?![A-Za-z0-9_])(?![-./:][0-9])(?!,\d{3})(?![%€£°])"
PLUS = re.compile(r"\+\(?[0-9][0-9 .()/-]{5,30}")
EXTENSION = re.compile(
    r"(?: ?[x#]| ?,? ?(?:ext|extn|extension|durchwahl|poste)[.:]? ?#?) ?\d{1,6}(?![A-Za-z0-9])", re.I
)
NORTH_AMERICA = re.compile(
    rf"{_START}(?:(?:00)?1[ .-]{{1,2}}|1(?=\())?(?:\((?P<paren>\d{{3}})\)[ .-]{{0,2}}|(?P<area>\d{{3}})(?P<a>[ ./-]))"
    rf"(?P<exchange>\d{{3}})(?P<b>[ .-])\d{{4}}(?=[xX#]\d|(?![A-Za-z0-9_])(?![-./:][0-9])(?!,\d{{3}}))"
)
TRUNK = re.compile(rf"{_START}(?<![0-9]{{4}} )(?:\(0\d{{0,5}}\)|\([1-9]\d{{1,4}}\)|0\d{{1,6}})[0-9 ./-]{{5,20}}")
DOUBLE_ZERO = re.compile(rf"{_START}(?<![0-9]{{4}} )00 ?[1-9][0-9 .()/-]{{7,24}}")
OTHER_SHAPES = re.compile(
    rf"{_START}(?:1[3-9]\d[ -]\d{{4}}[ -]\d{{4}}"  # China
    r"|8[ -]?\(?\d{3}\)?[ -]\d{3}[ -]\d{2}[ -]?\d{2}|8 \d{3} \d{3} \d{4}"  # Russia
    r"|\d{2} 9?\d{4}-\d{4}"  # Brazil
    r"|1[38]00[ -]\d{3}[ -]\d{3}"  # Australia, freephone
    rf"|[6-9]\d{{2}}[ .-]\d{{2}}[ .-]\d{{2}}[ .-]\d{{2}}){_END}"  # Spain
)
WITH_WORDS = re.compile(rf"{_START}(?<!\+)(?:\(\d{{1,5}}\)[ ./-]{{0,2}})?\d[0-9 ./()-]{{5,20}}")
DATE = re.compile(r"(?:\d{1,2}([./-])\d{1,2}\1(?:1[5-9]|20)\d{2}|(?:1[5-9]|20)\d{2}([./-])\d{1,2}\2\d{1,2})(?!\d)")
YEAR_IN_BRACKETS = re.compile(r"\((?:1[5-9]|20)\d\d\)")
GROUPS = re.compile(r"\d+")
CODE_IN_BRACKETS = re.compile(r"\+\d{1,3}\)")
COORDINATE = re.compile(r"\d{1,3}\.\d{3,7}(?![ .()/-]?\d)|\d{1,3}\.\d{3,}[ ,;/]*[+-]?\d{1,3}\.\d{3,}")
LONGEST_PHONE = 32
SHORTEST_PLAIN = 11
LAST_GROUP = re.compile(r"[ ./()-]+\d+\Z")
WHOLE = re.compile(r"\d{9,}(?= )")
NUMBER_ENDS = re.compile(r"\.+ |[.:]$| {2,}|[./-]{2,}|(?<=\d)\((?!0\))| (?=\d \d )| ?\((?:1[5-9]|20)\d\d(?=\)|$)")
NO_PHONE = re.compile(  # a date, an IPv4 address, a card, a social security number, two years, counting
    rf"{DATE.pattern}|\d{{1,3}}(?:\.\d{{1,3}}){{3}}\Z|\d{{4}}[ -]\d{{4}}[ -]\d{{4}}|\d{{3}}-\d\d-\d{{4}}\Z"
    r"|(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d\Z|\d \d \d |\d{1,3}\.\d{4,}(?: |\Z)|\d\d/\d\d "
)


def find_phones(text: Prepared) -> Iterator[Span]:
    """Telephone numbers with their extension."""
    view = text.view
    for match in PLUS.finditer(view):
        if not (match.start() and (view[match.start() - 1].isalnum() or view[match.start() - 1] in "+_")):
            start, end = match.start(), match.start() + len(_one_number(match[0]))
            in_brackets = view[start - 1 : start] == "(" and CODE_IN_BRACKETS.match(match[0])
            yield from _international(view, start - bool(in_brackets), start + 1, end)
    for start, end in text.numbers:
        first, last = max(0, start - 1), min(len(view), end + 1)
        yield from _north_american(view, first, last)
        for match in DOUBLE_ZERO.finditer(view, first, last):
            yield from _double_zero(view, match)
        yield from _with_trunks(view, first, last)
        for match in OTHER_SHAPES.finditer(view, first, last):
            says = says_phone(view, match.start())
            if says or (says is None and stands_alone(view, *match.span())):
                yield _with_extension(view, match.start(), match.end())
        match_ = WITH_WORDS.match(view, first, last) or WITH_WORDS.match(view, start, last)
        if match_ and says_phone(view, match_.start()):
            yield from _called_phone(view, match_)


def _international(view: str, start: int, digits_from: int, end: int, known: bool = True) -> Iterator[Span]:
    """A number after `+` or `00`: the most groups that make a number of its country.

    With `known` its length is enough, as for numbers kept for fiction; else the range must be in use.
    """
    check = phonenumbers.is_possible_number if known else phonenumbers.is_valid_number
    groups = list(GROUPS.finditer(view, digits_from, min(end, digits_from + LONGEST_PHONE)))
    ends = [group.end() for group in groups if len(group[0]) > 1 and _ends_well(view, group.end())]
    for last in reversed(ends):
        try:
            number = phonenumbers.parse(f"+{view[digits_from:last]}")
        except phonenumbers.NumberParseException:
            continue
        if check(number) and not COORDINATE.match(view, digits_from):
            yield _with_extension(view, start, last)
            return


def _double_zero(view: str, match: re.Match[str]) -> Iterator[Span]:
    written = match[0].rstrip(" .()/-")
    is_padded = written.isdigit() and (is_article(written) or len(written) < SHORTEST_PLAIN)  # 0000123: an id
    says = says_phone(view, match.start())
    end = match.start() + len(written)
    if says or (says is None and not is_padded and stands_alone(view, match.start(), end)):
        yield from _international(view, match.start(), match.start() + 2, match.end(), known=bool(says))


def _north_american(view: str, first: int, last: int) -> Iterator[Span]:
    for match in NORTH_AMERICA.finditer(view, first, min(len(view), last + 1)):
        says = says_phone(view, match.start())
        area, paren = match["area"] or match["paren"], match["paren"]
        valid = area[0] in "23456789" and match["exchange"][0] in "23456789"
        spaces = match["a"] == " " and match["b"] == " "
        around = view[max(0, match.start() - 2) : match.start()], view[match.end() : match.end() + 2]
        alone = not re.search(r"\d ?\Z", around[0]) and not re.match(r" \d", around[1])
        written = paren or (valid and (not spaces or alone) and stands_alone(view, *match.span()))
        if says or (says is None and written):
            yield _with_extension(view, match.start(), match.end())


def _with_trunks(view: str, first: int, last: int) -> Iterator[Span]:
    while match := TRUNK.search(view, first, last):
        first = match.end()
        for span in _with_trunk(view, match):
            first = span.end
            yield span


def _with_trunk(view: str, match: re.Match[str]) -> Iterator[Span]:
    """A national number that begins with the trunk digit 0, or with its area in brackets."""
    start, written = match.start(), _one_number(match[0])
    says = says_phone(view, start)
    if says is False:
        return
    while (n := _count(written)) > 12:
        written = LAST_GROUP.sub("", written) if LAST_GROUP.search(written) else ""
    groups = GROUPS.findall(written)
    in_brackets = written.startswith("(")
    if n < (7 if says else 8 if in_brackets else 9) or not _ends_well(view, start + len(written)):
        return
    if not says and not stands_alone(view, start, start + len(written)):
        return
    if not says and len(groups) == 1 and _is_bare_national(view, start, written):
        says = True
    if not says and (len(groups) == 1 or len(groups) > 6 or not _looks_national(written, groups)):
        return
    if not NO_PHONE.match(written):
        yield _with_extension(view, start, start + len(written))


def _looks_national(written: str, groups: list[str]) -> bool:
    separators = re.findall(r"[ ./-]+", written)
    if written.startswith("("):
        return not YEAR_IN_BRACKETS.match(written) and min(map(len, groups[1:])) >= 2 and written.count("/") <= 1
    if groups[0].startswith("00") or min(map(len, groups)) < 2 or len(groups[0]) > 6:
        return False
    if len(groups) == 2 and separators == ["."]:
        return False
    return written.count("/") <= 1 and not _is_isbn10(written) and max(map(len, separators)) <= 3


def _is_bare_national(view: str, start: int, written: str) -> bool:
    """Whether ten or eleven digits in a row begin as a national number does, and nothing marks them as an id."""
    plain = len(written) in {10, 11} and written[0] == "0" != written[1] and len(set(written)) > 3
    return plain and not _is_isbn10(written) and view[start - 1 : start] not in {"#", "=", "/", "_"}


def _is_isbn10(written: str) -> bool:
    digits = re.sub(r"[ -]", "", written)
    return len(digits) == 10 and digits.isdigit() and sum((10 - i) * int(d) for i, d in enumerate(digits)) % 11 == 0


def _called_phone(view: str, match: re.Match[str]) -> Iterator[Span]:
    """A number of any grouping that the words before call a phone number."""
    written = _one_number(match[0])
    while written and (_count(written) > 13 or not _ends_well(view, match.start() + len(written))):
        written = LAST_GROUP.sub("", written) if LAST_GROUP.search(written) else ""
    if _count(written) >= 7 and not NO_PHONE.match(written) and not _are_pages(written):
        yield _with_extension(view, match.start(), match.start() + len(written))


def _are_pages(written: str) -> bool:
    """Whether it is a range like 1234-1245."""
    first, dash, last = written.partition("-")
    return bool(dash) and len(first) == len(last) == 4 and 0 < int(last) - int(first) < 100


def _count(written: str) -> int:
    return sum(map(str.isdigit, written))


def _one_number(written: str) -> str:
    """What stands before two spaces, two signs, or the end of a sentence."""
    ends = NUMBER_ENDS.search(written, 1)
    written = written[: ends.start() if ends else len(written)].rstrip(" .()/-")
    whole = WHOLE.match(written)
    return whole[0] if whole else written


def _ends_well(view: str, end: int) -> bool:
    return re.match(_END, view[end : end + 4]) is not None or EXTENSION.match(view, end) is not None


def _with_extension(view: str, start: int, end: int) -> Span:
    extension = EXTENSION.match(view, end)
    return Span(start, extension.end() if extension else end, "phone")
