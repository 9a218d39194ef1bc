"""E-mail addresses, plain and spelled out, and URLs that carry a password.

The searches start at a rare literal (`@`, `://`, ` dot `) and look at a bounded number of characters around it, so
that their time is linear in the text whatever it holds. Lengths are those of RFC 5321, section 4.5.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span

LONGEST_LOCAL = 64
NOT_TOP_LEVEL = frozenset(
    """
    png jpg jpeg gif svg webp bmp ico tiff avif css scss less js jsx ts tsx mjs cjs json html htm xml yaml yml toml
    txt csv pdf py pyc rb java cpp hpp php exe dll jar whl gz tgz bz2 xz zip tar mp3 mp4 wav mov ttf woff
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_CJK_TOP_LEVEL = (
    "公司|中国|中國|网络|網絡|香港|台湾|台灣|新加坡|在线|中文网|网址|商城|网站|广告|公益|政务|移动|"
    "我爱你|世界|集团|信息|网店|企业|娱乐|游戏|机构|手机|购物|时尚|健康|新闻|食品|商店|微博|みんな|한국|닷컴|닷넷"
)
_OTHER_TOP_LEVEL = r"[^\W\d_a-zA-Z\u2e80-\ud7ff]{2,24}"
DOMAIN = re.compile(
    rf"@((?:{_LABEL}\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z]{{2,24}}|{_CJK_TOP_LEVEL}|{_OTHER_TOP_LEVEL}))"
    r"(?![A-Za-z0-9_])"
)
LOCAL_REVERSED = re.compile(r"[^\s@\"()<>\[\]:;,\\/=|{}`“”«»、。，：（）]{1,64}")
QUOTED_REVERSED = re.compile(r'"[^"\r\n@]{1,62}"')
SPELLED = re.compile(
    r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,63})"
    r"(?: ?[\[({<] ?(?:at|@) ?[\])}>] ?| at )"
    r"([A-Za-z0-9][A-Za-z0-9-]{0,62}(?:(?: ?[\[({<] ?(?:dot|\.) ?[\])}>] ?| dot |\.)[A-Za-z0-9-]{2,63}){1,4})(?![\w-])",
    re.IGNORECASE,
)
SPELLED_SIGNS = tuple(map(re.compile, (rb"\[ ?(?:aa|@) ?\]", rb"\( ?(?:aa|@) ?\)", rb"\{ ?(?:aa|@) ?\}")))
SPELLED_DOTS = (" dot ", " DOT ")
LAST_WORD = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}\Z")
CREDENTIALS = re.compile(
    r"://[^\s:/@\"'<>?#]{0,128}:[^\s/\"'<>]{1,256}@(?:\[[0-9A-Fa-f:.]{2,45}\]|[\w.-]{1,255})(?::\d{1,5})?"
    r"(?:[/?#][^\s\"'<>\])}|\\^`]{0,2048})?"
)
SCHEME_REVERSED = re.compile(r"[A-Za-z0-9+.-]{0,20}[A-Za-z]")
SENTENCE_ENDS = ".,;:!?"


def find_emails(text: Prepared) -> Iterator[Span]:
    """E-mail addresses: plus tags, sub-domains, quoted and international ones, `user [at] example [dot] com`."""
    view = text.view
    for match in DOMAIN.finditer(view):
        at = match.start()
        if match[1].rpartition(".")[2].lower() in NOT_TOP_LEVEL or not any(c.isalpha() for c in match[1]):
            continue
        start = _start_of_local(view, at)
        if start is not None and not _is_remote(view, start, match):
            yield Span(start, match.end(), "email")
    yield from _spelled_out(text)


def find_url_credentials(text: Prepared) -> Iterator[Span]:
    """URLs with user and password, whole: `postgres://app:secret@db.example.com/main`."""
    view, end = text.view, 0
    for match in CREDENTIALS.finditer(view):
        scheme = SCHEME_REVERSED.match(view[max(0, match.start() - 21) : match.start()][::-1])
        if scheme and match.start() >= end:
            end = match.end() - (len(match[0]) - len(match[0].rstrip(SENTENCE_ENDS)))
            yield Span(match.start() - scheme.end(), end, "url_credentials")


def _start_of_local(view: str, at: int) -> int | None:
    """Where the part before `@` begins; it neither begins nor ends with a sign."""
    window = view[max(0, at - LONGEST_LOCAL) : at][::-1]
    if window.startswith('"'):
        quoted = QUOTED_REVERSED.match(window)
        return at - quoted.end() if quoted else None
    match = LOCAL_REVERSED.match(window)
    if not match or window[0] == ".":
        return None
    local = match[0]
    if ord(local[0]) < 0x590:  # a Latin, Greek or Cyrillic name does not go on in Chinese
        local = next((local[:i] for i, c in enumerate(local) if ord(c) >= 0x590), local)
    local = local.rpartition("..")[0] or local if ".." in local else local
    while local and not (local[-1].isalnum() or local[-1] == "_"):
        local = local[:-1]
    return at - len(local) if local else None


def _is_remote(view: str, start: int, match: re.Match[str]) -> bool:
    """Whether it is the user of a URL or of a repository (`git@host:path`), which is no mailbox."""
    if view[max(0, start - 3) : start] == "://":
        return True  # the user of a URL
    return view[match.end() : match.end() + 1] == ":" and view[start : match.start()].lower() in {"git", "hg", "svn"}


def _spelled_out(text: Prepared) -> Iterator[Span]:
    view = text.view
    for sign in SPELLED_SIGNS:
        for match in sign.finditer(text.shape):
            yield from _spelled_at(view, match.start())
    for dot in SPELLED_DOTS:
        place = view.find(dot)
        while place >= 0:
            first = max(0, place - LONGEST_LOCAL)
            at = view[first:place].lower().rfind(" at ")
            if at >= 0:
                yield from _spelled_at(view, first + at)
            place = view.find(dot, place + 1)


def _spelled_at(view: str, place: int) -> Iterator[Span]:
    """The spelled-out address whose local part is the word that ends at `place`."""
    first = max(0, place - LONGEST_LOCAL)
    word = LAST_WORD.search(view[first:place].rstrip(" "))
    match = SPELLED.match(view, first + word.start()) if word else None
    if match and match[2].rpartition(".")[2].lower() not in NOT_TOP_LEVEL:
        yield Span(match.start(), match.end(), "email")
