"""Web pages: their main text, title and date, without menus, advertisements and scripts.

The main text is found by trafilatura (Barbaresi 2021, ACL demo 15). A page that it finds little in, or that is too
large for it, gives all its visible text by plain rules.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileRefused

LARGEST_PAGE_BYTES = 32 << 20
LARGEST_EXTRACTED_CHARACTERS = 1 << 20
MOST_TAGS = 20_000
LEAST_MAIN_TEXT_CHARACTERS = 250  # below it trafilatura itself does not trust what it has found (min_extracted_size)
META_BYTES = 4096
META_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
LANGUAGE = re.compile(r"<html[^>]{0,1000}?\slang\s*=\s*[\"']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)", re.IGNORECASE)
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# The encodings that browsers use for these labels (WHATWG Encoding Standard, section 4.2).
BROWSERS_USE = {
    "iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949", "iso-8859-9": "cp1254", "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8",
}  # fmt: skip
# A fixed last day: the library's own default is today, and the same page would give another date tomorrow.
DATES = {"original_date": True, "extensive_search": False, "max_date": "2100-01-01"}
UNSEEN = frozenset({"script", "style", "noscript", "template", "head", "svg", "iframe", "object"})
BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "fieldset", "figcaption",
        "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
        "option", "p", "pre", "section", "table", "td", "th", "tr", "ul",
    }
)  # fmt: skip


def read_html(file: SourceFile) -> Iterator[Record]:
    """The page's main text as one record; title, author, site, date and language become fields.

    The encoding is what the page says (byte order mark, then `<meta charset>`), else the source's.

    Raises:
        FileRefused: The page is empty, binary, not in its encoding, or larger than 32 MB.
    """
    with file.open() as stream:
        data = stream.read(LARGEST_PAGE_BYTES + 1)
    if len(data) > LARGEST_PAGE_BYTES:
        raise FileRefused("too_large", f"a web page of more than {LARGEST_PAGE_BYTES:,} bytes")
    page = decode_page(data, file.encoding)
    text, fields = main_text(page)
    if not text.strip():
        raise FileRefused("empty", "has no visible text in it")
    yield Record("", iter([text]), fields)


def decode_page(data: bytes, fallback: str) -> str:
    """A page's markup, in the encoding that it names or else in `fallback`.

    Raises:
        FileRefused: A byte does not belong to the encoding, or a NUL shows that this is no page.
    """
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None)
    if encoding is None and (found := META_CHARSET.search(data[:META_BYTES])):
        label = found[1].decode("ascii").lower()
        encoding = BROWSERS_USE.get(label, label)
        try:
            if not codecs.lookup(encoding)._is_text_encoding:
                encoding = None
        except LookupError:
            encoding = None
    encoding = encoding or fallback
    try:
        page = data.decode(encoding)
    except UnicodeDecodeError as error:
        reason = "not_" + "".join(c for c in encoding.lower() if c.isalnum())
        detail = f"not {encoding}: byte 0x{data[error.start]:02x} at offset {error.start:,}; say `encoding:`"
        raise FileRefused(reason, detail) from error
    if "\0" in page:
        raise FileRefused("binary", f"NUL at character {page.find(chr(0)):,}: binary, or in another encoding")
    return page


def main_text(page: str) -> tuple[str, dict[str, str]]:
    """A page's main text, or all its visible text, and what its head says about it."""
    fields: dict[str, str] = {}
    if found := LANGUAGE.search(page[:20_000]):
        fields["language"] = found[1]
    text = ""
    if len(page) <= LARGEST_EXTRACTED_CHARACTERS and page.count("<") <= MOST_TAGS:
        text, found_fields = _extracted(page)
        fields |= found_fields
    return (text if len(text) >= LEAST_MAIN_TEXT_CHARACTERS else visible_text(page)), fields


def _extracted(page: str) -> tuple[str, dict[str, str]]:
    """The main text that trafilatura finds, empty if none, and title, author, site and date."""
    import logging

    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it cannot read is ours to report
    logging.getLogger("htmldate").setLevel(logging.CRITICAL)
    try:
        tree = trafilatura.load_html(page)
        if tree is None:
            return "", {}
        about = trafilatura.extract_metadata(tree, date_config=DATES, extensive=False)
        named = {"title": about.title, "author": about.author, "site": about.sitename, "created": about.date}
        text = trafilatura.extract(tree, include_comments=False, date_extraction_params=DATES)
    except Exception:  # noqa: BLE001  (hostile markup trips it in many ways; the plain rules read everything)
        return "", {}
    return text or "", {key: value for key, value in named.items() if value}


def visible_text(page: str) -> str:
    """All text of a page outside scripts and styles, block elements on lines of their own; linear in its length."""
    from lxml import etree

    parser = etree.HTMLParser(recover=True, huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        parser.feed(page.encode("utf-8", "replace"))
        root = parser.close()
    except (etree.LxmlError, AssertionError):
        return ""
    if root is None:
        return ""
    parts: list[str] = []
    unseen = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            unseen += element.tag in UNSEEN
            if element.tag in BLOCKS:
                parts.append("\n")
            if element.text and not unseen:
                parts.append(element.text if element.tag == "pre" else _one_line(element.text))
        else:
            unseen -= element.tag in UNSEEN
            if element.tag in BLOCKS:
                parts.append("\n")
            if element.tail and not unseen:
                parts.append(_one_line(element.tail))
    lines = (line.strip() for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _one_line(text: str) -> str:
    """Text as a browser flows it: every run of white space is one space."""
    inner = " ".join(text.split())
    return (" " if text[:1].isspace() else "") + inner + (" " if inner and text[-1:].isspace() else "")
