"""Office documents, books, notebooks, subtitles: all text in reading order, or one line that says why not."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.readers.formats import reader_for
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

pytestmark = pytest.mark.feature("CORP-21")


def read(name: str, data: bytes, encoding: str = "utf-8") -> list[tuple[str, dict]]:
    records = list(reader_for(name)(SourceFile(name, lambda: io.BytesIO(data), encoding)))
    return [("".join(r.pieces), r.fields) for r in records if isinstance(r, Record)]


def refused(name: str, data: bytes) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(name, data)
    assert "\n" not in str(caught.value)
    return caught.value


def verdict(name: str, data: bytes) -> str:
    """Why a file is refused; empty where it is read."""
    try:
        read(name, data)
    except FileRefused as error:
        return str(error)
    return ""


def packed(members: dict[str, str]) -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return place.getvalue()


def pdf(pages: list[str]) -> bytes:
    """A PDF written by matplotlib, one line of text a page; a page without text is a picture."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    place = io.BytesIO()
    with PdfPages(place) as document:
        for text in pages:
            figure = plt.figure(figsize=(4, 2))
            if text:
                figure.text(0.1, 0.5, text)
            document.savefig(figure)
            plt.close(figure)
    return place.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCX = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>',
    "word/styles.xml": f'<w:styles xmlns:w="{WORD}"><w:style w:type="paragraph" w:styleId="Heading1">'
    '<w:name w:val="heading 1"/></w:style></w:styles>',
    "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>'
    '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>The mine</w:t></w:r></w:p>'
    "<w:p><w:r><w:t>Nobody went &amp; nobody came.</w:t></w:r></w:p>"
    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>year</w:t></w:r></w:p></w:tc>"
    "<w:tc><w:p><w:r><w:t>1914</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>",
}
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
ODT = {
    "content.xml": f'<o:document-content xmlns:o="{OFFICE}" xmlns:t="{TEXT}"><o:body><o:text>'
    '<t:h t:outline-level="2">The mine</t:h><t:p>Nobody<t:s t:c="2"/>went, <t:span>nobody</t:span> came.</t:p>'
    "<t:list><t:list-item><t:p>first</t:p></t:list-item></t:list></o:text></o:body></o:document-content>"
}
EPUB = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
    "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata><title>Two chapters</title></metadata>'
    '<manifest><item id="b" href="text/two%20b.xhtml"/><item id="a" href="one.xhtml"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
    "OEBPS/one.xhtml": "<html><body><h1>One</h1><p>It began.</p></body></html>",
    "OEBPS/text/two b.xhtml": "<html><body><h1>Two</h1><p>It ended.</p></body></html>",
}


def test_pdf_gives_its_pages_in_order_and_names_those_without_text() -> None:
    ((text, fields),) = read("a.pdf", pdf(["First page here", "", "Third page here"]))
    assert text == "First page here\n\nThird page here"
    assert fields == {"pages": 3, "pages_without_text": "2"}


def test_pdf_of_pictures_alone_is_told_what_to_do() -> None:
    assert "OCR" in str(refused("a.pdf", pdf(["", ""])))


def test_locked_pdf_is_named() -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["secret"]))))
    writer.encrypt("word", algorithm="RC4-128")
    place = io.BytesIO()
    writer.write(place)
    assert refused("a.pdf", place.getvalue()).reason == "locked"


def test_word_document_keeps_headings_and_tables() -> None:
    ((text, _),) = read("a.docx", packed(DOCX))
    assert text.split("\n")[:2] == ["# The mine", "Nobody went & nobody came."]
    assert text.split()[-2:] == ["year", "1914"]


def test_opendocument_keeps_headings_blanks_and_lists() -> None:
    ((text, _),) = read("a.odt", packed(ODT))
    assert text == "## The mine\nNobody  went, nobody came.\nfirst"


def test_book_is_read_in_the_order_of_its_spine() -> None:
    ((text, fields),) = read("a.epub", packed(EPUB))
    assert text == "# One\nIt began.\n\n# Two\nIt ended."
    assert fields == {"title": "Two chapters"}


def test_rich_text_heeds_its_code_page() -> None:
    ((text, _),) = read("a.rtf", rb"{\rtf1\ansi\ansicpg1252 Caf\'e9 au lait.\par Second.}")
    assert text.split("\n")[:2] == ["Café au lait.", "Second."]


def test_notebook_gives_text_and_code_without_outputs() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": "x = 1", "outputs": [{"text": "not this"}]},
    ]
    ((text, _),) = read("a.ipynb", json.dumps({"cells": cells, "metadata": {}}).encode())
    assert text == "# Title\nwords\n\n```\nx = 1\n```"


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_subtitles_give_what_is_said(name: str) -> None:
    head = "WEBVTT\n\n" if name.endswith("vtt") else ""
    said = "1\n00:00:01,000 --> 00:00:02,500\n<i>Good evening.</i>\n\n2\n00:00:03.000 --> 00:00:04.000\nSit - down.\n"
    ((text, _),) = read(name, (head + said).encode())
    assert text == "Good evening.\nSit - down."


def test_json_array_gives_one_record_each_and_names_what_has_no_text() -> None:
    data = json.dumps([{"text": "one", "year": 1914}, "two", 3, {"other": "x"}]).encode()
    records = list(reader_for("a.json")(SourceFile("a.json", lambda: io.BytesIO(data))))
    assert [("".join(r.pieces), r.fields) for r in records if isinstance(r, Record)] == [
        ("one", {"year": 1914}), ("two", {}),
    ]  # fmt: skip
    assert [r.detail.split(":")[0] for r in records if isinstance(r, RefusedRecord)] == ["item 3", "item 4"]


def test_xml_that_names_files_or_explodes_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    bomb = f'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY f SYSTEM "file://{tmp_path}/secret">]>'
    ((text, _),) = read("a.odt", packed({"content.xml": bomb + ODT["content.xml"].replace("first", "&a;&f;first")}))
    assert "secret" not in text
    assert text.endswith("first")


def test_a_packed_bomb_is_refused_before_it_is_unpacked() -> None:
    assert refused("a.odt", packed({"content.xml": "a" * (257 << 20)})).reason == "too_large"


@given(st.binary(max_size=300), st.sampled_from(["pdf", "docx", "odt", "epub", "rtf", "ipynb", "srt", "json"]))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, ending: str) -> None:
    assert "\n" not in verdict(f"a.{ending}", data)


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.docx", packed(DOCX)), ("a.odt", packed(ODT)), ("a.epub", packed(EPUB)), ("a.pdf", pdf(["x"]))],
)
def test_damaged_documents_are_refused_or_read(name: str, data: bytes) -> None:
    for place in range(0, len(data), max(1, len(data) // 40)):
        for broken in (data[:place], data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]):
            assert "\n" not in verdict(name, broken)


def test_what_is_not_read_comes_with_a_hint() -> None:
    with pytest.raises(FileRefused, match="save it as \\.docx"):
        reader_for("a.doc")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_text_with_the_mark_of_its_encoding_is_read(encoding: str) -> None:
    assert read("a.txt", "naïve café".encode(encoding)) == [("naïve café", {})]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_text_in_utf16_without_a_mark_is_named(encoding: str) -> None:
    assert f"encoding: {encoding}" in str(refused("a.txt", ("The captain sold the boat. " * 20).encode(encoding)))


def test_a_text_in_another_encoding_comes_with_the_likely_one() -> None:
    text = "Où est le garçon ? Il a mangé l’été dernier – très bien, « déjà ». " * 5
    assert "it looks like cp125" in str(refused("a.txt", text.encode("cp1252")))
