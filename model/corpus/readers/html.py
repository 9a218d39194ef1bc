"""Web pages: their main text, title and date, without menus, advertisements and scripts.

The main text is found by trafilatura (Barbaresi 2021, ACL demo 15), which leaves out what it takes for surroundings.
So it is asked only where there are some: a page without menus, banners and lists of links gives all its text, as
does one that it finds little in or that is too large for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from model.corpus.readers.markup import encoding_in_markup, parsed, text_of
from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileRefused

LARGEST_PAGE_BYTES = 32 << 20
LARGEST_EXTRACTED_CHARACTERS = 1 << 20
MOST_TAGS = 20_000
LEAST_MAIN_TEXT_CHARACTERS = 250  # below it trafilatura itself does not trust what it has found (min_extracted_size)
LANGUAGE = re.compile(r"<html[^>]{0,1000}?\slang\s*=\s*[\"']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)", re.IGNORECASE)
# A fixed last day: the library's own default is today, and the same page would give another date tomorrow.
DATES = {"original_date": True, "extensive_search": False, "max_date": "2100-01-01"}
SURROUNDINGS = frozenset({"nav", "header", "footer", "aside", "form", "article", "main"})
ROLES = frozenset({"navigation", "banner", "contentinfo", "complementary", "search"})
SURROUNDING_NAMES = re.compile(
    r"\b(nav(bar|igation)?|menu|side-?bar|header|footer|breadcrumbs?|banner|cookies?|advert|ads?|share|social|comments?)\b",
    re.IGNORECASE,
)
MOST_TEXT_IN_LINKS = 0.3


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
    encoding = encoding_in_markup(data) or fallback
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
    """A page's main text, or all its text, and what its head says about it."""
    fields: dict[str, str] = {}
    if found := LANGUAGE.search(page[:20_000]):
        fields["language"] = found[1]
    root = parsed(page)
    if root is None:
        return "", fields
    text = ""
    if len(page) <= LARGEST_EXTRACTED_CHARACTERS and page.count("<") <= MOST_TAGS:
        text, found_fields = _extracted(page)
        fields |= found_fields
    if len(text) < LEAST_MAIN_TEXT_CHARACTERS or not has_surroundings(root):
        text = text_of(root)
    return text, fields


def has_surroundings(root: Any) -> bool:
    """Whether a page has anything beside its text: elements, roles or names of menus and the like, or mostly links."""
    n_all = n_links = 0
    for element in root.iter():
        if element.tag in SURROUNDINGS or element.get("role") in ROLES:
            return True
        names = f"{element.get('class', '')} {element.get('id', '')}"
        if len(names) > 1 and SURROUNDING_NAMES.search(names[:500]):
            return True
        n_all += len((element.text or "").strip()) + len((element.tail or "").strip())
        if element.tag == "a":
            n_links += len((element.text or "").strip())
    return n_links > MOST_TEXT_IN_LINKS * n_all


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
