"""All text of a piece of HTML, every word of it: mails, chapters of books, converted documents, pages without menus.

Headings become Markdown (`# Title`), block elements lines of their own, cells of a table's row are parted by tabs.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

UNSEEN = frozenset({"script", "style", "template", "head", "svg", "iframe", "object"})
BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "fieldset",
        "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main",
        "nav", "ol", "option", "p", "pre", "section", "table", "tr", "ul",
    }
)  # fmt: skip
CELLS = frozenset({"td", "th"})
HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
META_BYTES = 4096
META_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# The encodings that browsers use for these labels (WHATWG Encoding Standard, section 4.2).
BROWSERS_USE = {
    "iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949", "iso-8859-9": "cp1254", "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8",
}  # fmt: skip


def encoding_in_markup(data: bytes) -> str | None:
    """The encoding that a page names itself: its byte order mark, else `<meta charset>`; None where it names none."""
    marked = next((name for mark, name in MARKS if data.startswith(mark)), None)
    if marked is not None:
        return marked
    found = META_CHARSET.search(data[:META_BYTES])
    return known_label(found[1].decode("ascii")) if found else None


def known_label(label: str) -> str | None:
    """The encoding that a browser uses for a label in a page or mail; None for one that nobody knows."""
    name = BROWSERS_USE.get(label.strip().lower(), label.strip().lower())
    try:
        return name if codecs.lookup(name)._is_text_encoding else None
    except (LookupError, ValueError):
        return None


def parsed(page: str) -> Any:
    """The tree of a page, or None where nothing can be made of it; no entity, file or address is looked up."""
    from lxml import etree

    parser = etree.HTMLParser(
        recover=True, huge_tree=True, remove_comments=True, remove_pis=True, no_network=True, encoding="utf-8"
    )
    try:
        parser.feed(page.replace("\0", "").encode("utf-8", "replace"))
        return parser.close()
    except (etree.LxmlError, AssertionError):
        return None


def all_text(page: str) -> str:
    """All text of a page outside scripts and styles; linear in its length."""
    root = parsed(page)
    return "" if root is None else text_of(root)


def text_of(root: Any) -> str:
    """All text below an element; see `all_text`."""
    from lxml import etree

    parts: list[str] = []
    unseen = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if event == "start":
            unseen += tag in UNSEEN
            if tag in BLOCKS:
                parts.append("\n")
            if tag in HEADINGS and not unseen:
                parts.append(HEADINGS[tag])
            if element.text and not unseen:
                parts.append(element.text if tag == "pre" else _one_line(element.text))
        else:
            unseen -= tag in UNSEEN
            if tag in BLOCKS:
                parts.append("\n")
            elif tag in CELLS:
                parts.append("\t")
            if element.tail and not unseen:
                parts.append(_one_line(element.tail))
    lines = (re.sub(r"\s*\t\s*", "\t", line).strip() for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line.strip("# \t"))


def _one_line(text: str) -> str:
    """Text as a browser flows it: every run of white space is one space."""
    inner = " ".join(text.split())
    return (" " if text[:1].isspace() else "") + inner + (" " if inner and text[-1:].isspace() else "")
