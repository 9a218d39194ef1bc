"""Documents of office programs and books: their text in reading order, headings as Markdown (`# Title`).

Packed formats (DOCX, ODT, EPUB) are zip archives of XML: members are bounded in number and size, and no entity, file or
address that the XML names is looked up.
"""

from __future__ import annotations

import io
import logging
import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from model.corpus.readers.markup import HEADINGS, all_text
from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileRefused

LARGEST_FILE_BYTES = 256 << 20
LARGEST_MEMBER_BYTES = 256 << 20
MOST_MEMBERS = 20_000
SHOWN_PAGES = 10
OFFICE_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
OFFICE_BLOCKS = frozenset(f"{OFFICE_TEXT}{name}" for name in ("p", "h", "list-item", "line-break"))


def read_pdf(file: SourceFile) -> Iterator[Record]:
    """A PDF's pages in order, one record; the field `pages_without_text` names those that are only pictures.

    Raises:
        FileRefused: It is damaged, locked by a password, larger than 256 MB, or has no text on any page.
    """
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(
        logging.CRITICAL
    )  # it warns of every slip; what cannot be read is refused below
    try:
        reader = PdfReader(io.BytesIO(_bytes_of(file)))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileRefused("locked", "is locked by a password; save it without one")
        pages = [page.extract_text().strip() for page in reader.pages]
    except FileRefused:
        raise
    except Exception as error:  # of damaged files pypdf raises whatever happens to it
        raise FileRefused("damaged", f"not a readable PDF: {_one_line(error)}") from error
    without = [number for number, text in enumerate(pages, 1) if not text]
    if len(without) == len(pages):
        raise FileRefused("empty", f"no text on its {len(pages):,} pages (scanned?); recognise it first (OCR)")
    more = f" and {len(without) - SHOWN_PAGES} more" if len(without) > SHOWN_PAGES else ""
    fields = {"pages": len(pages)}
    named = {"pages_without_text": ", ".join(map(str, without[:SHOWN_PAGES])) + more} if without else {}
    yield Record("", iter(["\n\n".join(text for text in pages if text)]), {**fields, **named})


def read_docx(file: SourceFile) -> Iterator[Record]:
    """A Word document by mammoth: paragraphs, headings, lists, tables, notes.

    Raises:
        FileRefused: It is damaged, too large or empty.
    """
    import mammoth

    data = _bytes_of(file)
    _members(data)
    try:
        page = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(lambda _: {})).value
    except Exception as error:  # mammoth raises whatever its XML reader does
        raise FileRefused("damaged", f"not a readable Word document: {_one_line(error)}") from error
    yield _record(all_text(page))


def read_odt(file: SourceFile) -> Iterator[Record]:
    """An OpenDocument text: paragraphs and headings of its `content.xml`.

    Raises:
        FileRefused: It is damaged, too large or empty.
    """
    root = _xml(_member(_members(_bytes_of(file)), "content.xml"))
    lines: list[str] = []
    for block in root.iter(f"{OFFICE_TEXT}p", f"{OFFICE_TEXT}h"):
        text = " ".join("".join(_office_text(block)).split(" "))
        level = min(int(block.get(f"{OFFICE_TEXT}outline-level") or 1), 6)
        lines.append((HEADINGS[f"h{level}"] if block.tag == f"{OFFICE_TEXT}h" else "") + text.strip())
    yield _record("\n".join(line for line in lines if line))


def _office_text(element: Any) -> Iterator[str]:
    """Text of a paragraph; repeated blanks, tabs and line breaks are elements there. Paragraphs inside are left out."""
    yield element.text or ""
    for child in element:
        if child.tag == f"{OFFICE_TEXT}s":
            yield " " * min(int(child.get(f"{OFFICE_TEXT}c") or 1), 1000)
        elif child.tag in {f"{OFFICE_TEXT}tab", f"{OFFICE_TEXT}line-break"}:
            yield "\t" if child.tag.endswith("tab") else "\n"
        elif child.tag not in OFFICE_BLOCKS and isinstance(child.tag, str):
            yield from _office_text(child)
        yield child.tail or ""


def read_epub(file: SourceFile) -> Iterator[Record]:
    """A book's chapters in the order of its spine (EPUB 3.3, section 5.7), one record.

    Raises:
        FileRefused: It is damaged, locked, too large or empty.
    """
    archive = _members(_bytes_of(file))
    names = set(archive.namelist())
    if "META-INF/encryption.xml" in names and b"EncryptedData" in _member(archive, "META-INF/encryption.xml"):
        raise FileRefused("locked", "is locked (DRM)")
    places = _xml(_member(archive, "META-INF/container.xml")).xpath("//*[local-name()='rootfile']/@full-path")
    if not places:
        raise FileRefused("damaged", "not a readable book: META-INF/container.xml names no package")
    package = _xml(_member(archive, places[0]))
    items = {item.get("id"): item.get("href") or "" for item in package.xpath("//*[local-name()='item']")}
    folder = posixpath.dirname(places[0])
    chapters = [items.get(reference, "") for reference in package.xpath("//*[local-name()='itemref']/@idref")]
    paths = [posixpath.normpath(posixpath.join(folder, unquote(chapter))) for chapter in chapters if chapter]
    texts = [all_text(_member(archive, path).decode("utf-8", "replace")) for path in paths]
    titles = package.xpath("//*[local-name()='title']/text()")
    yield _record("\n\n".join(text for text in texts if text), {"title": str(titles[0])} if titles else {})


def read_rtf(file: SourceFile) -> Iterator[Record]:
    """A Rich Text document by striprtf; its own code page is heeded.

    Raises:
        FileRefused: It is no RTF, damaged, too large or empty.
    """
    from striprtf.striprtf import rtf_to_text

    data = _bytes_of(file)
    if not data.lstrip().startswith(b"{\\rtf"):
        raise FileRefused("damaged", "not a Rich Text document: it does not begin with {\\rtf")
    try:
        text = rtf_to_text(data.decode("latin-1"), errors="replace")
    except (ValueError, IndexError, LookupError, RecursionError) as error:
        raise FileRefused("damaged", f"not a readable Rich Text document: {_one_line(error)}") from error
    yield _record(text)


def _record(text: str, fields: dict[str, Any] | None = None) -> Record:
    if not text.strip():
        raise FileRefused("empty", "has no text in it")
    return Record("", iter([text]), fields or {})


def _bytes_of(file: SourceFile) -> bytes:
    with file.open() as stream:
        data = stream.read(LARGEST_FILE_BYTES + 1)
    if len(data) > LARGEST_FILE_BYTES:
        raise FileRefused("too_large", f"a document of more than {LARGEST_FILE_BYTES:,} bytes")
    if not data:
        raise FileRefused("empty", "has no bytes in it")
    return data


def _members(data: bytes) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FileRefused("damaged", f"not a readable document: {_one_line(error)}") from error
    sizes = [info.file_size for info in archive.infolist()]
    if len(sizes) > MOST_MEMBERS or sum(sizes) > LARGEST_MEMBER_BYTES:
        raise FileRefused("too_large", f"unpacks to {sum(sizes):,} bytes in {len(sizes):,} parts: refused as a bomb")
    return archive


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as stream:
            data = stream.read(LARGEST_MEMBER_BYTES + 1)
    except (KeyError, RuntimeError, zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise FileRefused("damaged", f"not a readable document: {name}: {_one_line(error)}") from error
    except Exception as error:  # zlib.error and its kin have no base of their own
        raise FileRefused("damaged", f"not a readable document: {name}: {_one_line(error)}") from error
    if len(data) > LARGEST_MEMBER_BYTES:
        raise FileRefused("too_large", f"{name} unpacks to more than {LARGEST_MEMBER_BYTES:,} bytes")
    return data


def _xml(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError) as error:
        raise FileRefused("damaged", f"not a readable document: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
