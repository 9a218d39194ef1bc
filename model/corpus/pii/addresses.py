"""Internet addresses: IPv4 and IPv6, public and private, but no version numbers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from model.corpus.pii.context import NEUTRAL, before
from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span

IPV4_SHAPE = re.compile(rb"0{1,3}\.0{1,3}\.0{1,3}\.0{1,3}")
LIKE_A_VERSION = 32  # first numbers below it are common in versions, rare in addresses of the public internet
WORD_BEFORE = re.compile(r"(?<![^\W\d_])([^\W\d_][\w+-]*) \Z")
ADDRESS_WORDS = frozenset(
    """
    ip ipv4 address addresses host hosts server servers client clients ping pinged gateway router dns nameserver
    node nodes peer proxy subnet network net mask route traceroute ssh telnet curl wget nmap scp rsync connect
    connected connecting connection login user visitor bind bound listen listening listens attacker machine inet
    addr src dst source destination origin remote local localhost domain resolver interface via block blocked ban
    banned allow deny denied permit request requests reach reached resolves resolved hop site box domain adresse
    serveur servidor
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
POINT = b".0"
DIGIT = ord("0")
IPV6 = re.compile(r":(?:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]*")
NOT_BEFORE = re.compile(r"(?:[A-Za-z0-9_.]|[A-Za-z0-9_][-/~^]|[=<>~^!]=|[=<>~^!]= |[~^§]|(?<![A-Za-z])[vV]\.? ?)\Z")
VERSION_WORDS = re.compile(
    r"(?<![^\W\d_])(?:versions?|ver|rv|tags?|release[ds]?|build|firmware|rev(?:ision)?|section|sect?|chapter|"
    r"clause|article|"
    r"paragraph|para|figure|fig|table|appendix|annex|step|item|exercise|theorem|definition|upgrad\w+|downgrad\w+|"
    r"updat\w+|patch|driver|kernel|sdk|assembly|bios|chrome|firefox|safari|edge|opera|oid|python|java|openss[lh]|"
    r"windows|android|ios|linux|macos|ubuntu|"
    r"php|node|npm|gcc|cmake|git|curl|jdk|jre|framework|unity|excel|office|acrobat|webkit|gecko|mozilla|cuda|library)"
    r"(?:[\s:=#\"'(),./\dv-]|(?<![^\W\d_])(?:to|from|is|was|number|no|and|or|with|the|in|see)(?![^\W\d_]))*\Z"
)


def find_addresses(text: Prepared) -> Iterator[Span]:
    """IPv4 addresses in dotted form and IPv6 addresses in any form of RFC 4291."""
    yield from _ipv4(text)
    yield from _ipv6(text.view)


def _ipv4(text: Prepared) -> Iterator[Span]:
    view, shape = text.view, text.shape
    point = shape.find(POINT)
    while point >= 0:
        first = point - 1
        while first >= 0 and point - first <= 3 and shape[first] == DIGIT:
            first -= 1
        match = IPV4_SHAPE.match(shape, first + 1)
        point = shape.find(POINT, match.end() if match else point + 1)
        if match is None:
            continue
        start, end = match.span()
        after = shape[end : end + 2]
        if after[:1] in {b"0", b"a"} or after == b".0" or view[end : end + 1] == "_":
            continue
        parts = view[start:end].split(".")
        if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in parts):
            continue
        if NOT_BEFORE.search(view, max(0, start - 4), start) or VERSION_WORDS.search(before(view, start)):
            continue
        if int(parts[0]) < LIKE_A_VERSION and _is_named(view, start):
            continue
        yield Span(start, end, "ip")


def _is_named(view: str, start: int) -> bool:
    """Whether one blank parts it from a word that is no place of an address: `nginx 1.2.3.4`."""
    word = WORD_BEFORE.search(view, max(0, start - 32), start)
    return word is not None and word[1].lower() not in ADDRESS_WORDS | NEUTRAL


def _ipv6(view: str) -> Iterator[Span]:
    for match in IPV6.finditer(view):
        start, end = match.span()
        if end - start > 64:
            continue
        while start > 0 and match.start() - start < 5 and view[start - 1] in "0123456789abcdefABCDEF":
            start -= 1
        if start and (view[start - 1].isalnum() or view[start - 1] in "_:."):
            continue
        while view[end - 1] == "." or (view[end - 1] == ":" and view[end - 2] != ":"):
            end -= 1
        following = view[end : end + 1]
        address = view[start:end]
        if (
            following.isalnum()
            or following == "_"
            or (address.count(":") < 3 and not any(c.isdigit() for c in address))
        ):
            continue
        with_port = address.count(":") == 8 and address.rpartition(":")[2].isdigit()
        address = address.rpartition(":")[0] if with_port else address
        if _is_telling(address) and _is_ipv6(address):
            yield Span(start, start + len(address), "ip")


def _is_telling(address: str) -> bool:
    """Whether it is long enough to be no slice of a programming language, like `[1::2]`."""
    return address == "::1" or address.count(":") > 2 or any(len(group) > 2 for group in address.split(":"))


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True
