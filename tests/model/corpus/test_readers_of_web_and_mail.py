"""Web pages, mailboxes, tables and source code become the text that a person would read."""

import io
import mailbox
import time
from email.message import EmailMessage

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.readers.formats import reader_for
from model.corpus.readers.html import main_text
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

pytestmark = pytest.mark.feature("CORP-01")

ARTICLE = (
    "The river rises in the mountains, and for most of its length it is slow and brown and very wide. In the autumn "
    "the people who live along its banks take their boats out of the water and mend them until the spring floods come."
)
PAGE = f"""<!DOCTYPE html><html lang="en-GB"><head><title>The river</title>
<meta name="author" content="Anna Smith"><meta property="article:published_time" content="2019-05-17T10:00:00Z">
<style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/about">About us</a></li></ul></nav>
<main><article><h1>The river</h1><p>{ARTICLE}</p><p>{ARTICLE.replace("river", "stream")}</p></article></main>
<script>var tracker = "do not read me";</script><footer>Copyright notice, all rights reserved</footer></body></html>"""


def records(data: bytes, name: str, **more) -> list:
    return list(reader_for(name)(SourceFile(name, lambda: io.BytesIO(data), **more)))


def texts(found: list) -> list[str]:
    return ["".join(r.pieces) for r in found if isinstance(r, Record)]


def refusals(found: list) -> dict[str, str]:
    return {r.place: r.reason for r in found if isinstance(r, RefusedRecord)}


def test_page_gives_its_article_and_what_its_head_says():
    (record,) = records(PAGE.encode(), "a.html")
    text = "".join(record.pieces)
    assert ARTICLE in text
    assert "tracker" not in text
    assert "About us" not in text
    assert "color: red" not in text
    assert record.fields["title"] == "The river"
    assert record.fields["author"] == "Anna Smith"
    assert record.fields["created"] == "2019-05-17"
    assert record.fields["language"] == "en-GB"


def test_date_of_a_page_does_not_depend_on_today(monkeypatch):
    page = PAGE.replace("2019-05-17", "2031-05-17")
    assert main_text(page)[1]["created"] == "2031-05-17"


def test_page_without_an_article_gives_all_visible_text():
    markup = b"<p>one</p><div>two <b>bold</b>   words</div><script>no</script><pre>a\n  b</pre>"
    assert texts(records(markup, "a.html")) == ["one\ntwo bold words\na\nb"]


@pytest.mark.parametrize(
    ("encoding", "head"),
    [
        ("shift_jis", '<meta charset="Shift_JIS">'),
        ("cp1252", '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">'),
        ("utf-16", ""),
        ("utf-8-sig", '<meta charset="latin-1">'),
        ("utf-8", '<meta charset="no-such-thing">'),
    ],
)
def test_encoding_of_a_page_is_what_the_page_says(encoding, head):
    word = "日本語" if encoding == "shift_jis" else "naïve"
    data = f"<html><head>{head}</head><body><p>{word}</p></body></html>".encode(encoding)
    assert texts(records(data, "a.html")) == [word]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<script>x</script>", "empty"),
        (b"<p>caf\xe9</p>", "not_utf8"),
        (b"<p>\0</p>", "binary"),
        (b"<!--" * 1000, "empty"),
        (b"<ul><li>" * 5000, "empty"),
    ],
)
def test_page_that_gives_nothing_is_refused(data, reason):
    with pytest.raises(FileRefused) as refusal:
        records(data, "a.html")
    assert refusal.value.reason == reason


@pytest.mark.parametrize("hostile", ["<div>", "<!--", "<a href=x>y</a>", "<" * 50, "<table><tr><td>x", "<p>word</p>"])
def test_hostile_page_takes_linear_time(hostile):
    started = time.process_time()
    main_text(hostile * (2_000_000 // len(hostile)))
    assert time.process_time() - started < 8


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text("ab ,;\"\n'")), min_size=1))
def test_csv_gives_back_what_a_csv_writer_wrote(rows):
    import csv

    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["text", "note"])
    writer.writerows(rows)
    found = records(buffer.getvalue().encode(), "a.csv")
    assert texts(found) == [text for text, _ in rows if text.strip()]
    assert len(found) == len(rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiter_is_the_one_that_gives_the_text_column(delimiter):
    data = f"id{delimiter}text\n7{delimiter}hello\n".encode()
    (record,) = records(data, "a.csv")
    assert ("".join(record.pieces), record.fields) == ("hello", {"id": "7"})


def test_csv_without_the_text_column_names_the_columns_found():
    with pytest.raises(FileRefused, match="no column 'text'; columns found: title, body, year"):
        records(b"title,body,year\na,b,c\n", "a.csv")


def test_csv_row_with_too_many_values_is_set_aside_and_the_next_read():
    found = records(b"text,a\none,1\ntwo,2,3\n,5\nthree\n", "a.csv")
    assert texts(found) == ["one", "three"]
    assert refusals(found) == {"00000002": "broken_row", "00000003": "empty"}


def test_csv_quote_that_never_closes_costs_its_row_alone_in_bounded_memory(monkeypatch):
    monkeypatch.setattr("model.corpus.readers.csv_table.LONGEST_FIELD_CHARACTERS", 20_000)
    found = records(b'text\nok\n"' + b"line\n" * 10_000, "a.csv")
    assert texts(found) == ["ok"] + ["line"] * 9_999
    (refused,) = (record for record in found if isinstance(record, RefusedRecord))
    assert (refused.reason, refused.detail) == ("broken_row", "line 3: a quote opens a value that never ends")
    with pytest.raises(FileRefused, match="a line is longer"):
        records(b"text\nok\n" + b"x" * 50_000, "a.csv")


def test_csv_rows_after_a_broken_one_survive_and_its_rests_are_set_aside():
    data = b'text,a\n"open,1\ntwo,2\n"three\nlines",3\n"four "said" x\nno row,4\nfive,5\n'
    found = records(data, "a.csv")
    assert texts(found) == ["two", "three\nlines", "no row", "five"]
    assert [r.detail.split(":")[0] for r in found if isinstance(r, RefusedRecord)] == ["line 2", "line 6"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_table_with_two_columns_of_one_name_is_refused_by_name(name):
    header = b"text\tnote\tnote\n" if name == "a.tsv" else b"text,note,note\n"
    with pytest.raises(FileRefused, match="columns 2 and 3 have one name, 'note'"):
        records(header + b"x\n", name)


def test_parquet_with_two_columns_of_one_name_is_refused_by_name():
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), buffer)
    with pytest.raises(FileRefused, match="columns 1 and 2 have one name, 'text'"):
        records(buffer.getvalue(), "a.parquet")


def test_json_line_with_a_key_twice_is_set_aside():
    found = records(b'{"text": "a", "text": "b"}\n{"text": "c"}\n', "a.jsonl")
    assert texts(found) == ["c"]
    assert refusals(found) == {"00000001": "duplicate_key"}


def test_html_mail_keeps_every_word_and_its_headings():
    page = "<h1>News</h1><table><tr><td>one</td><td>two</td></tr></table><div class=footer>Yours, Bo</div>"
    mail = EmailMessage()
    mail.set_content(page, subtype="html")
    assert texts(records(mail.as_bytes(), "a.eml")) == ["# News\none\ttwo\nYours, Bo"]


@pytest.mark.parametrize("declared", ["", "; charset=us-ascii", "; charset=iso-8859-1", "; charset=nonsense"])
def test_encoding_in_the_markup_of_a_mail_is_heeded(declared):
    word = "Привет, это письмо"
    head = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">'
    body = f"<html><head>{head}</head><body><p>{word}</p></body></html>".encode("cp1251")
    assert texts(records(f"Content-Type: text/html{declared}\n\n".encode() + body, "a.eml")) == [word]


@pytest.mark.parametrize(
    ("name", "language"),
    [("a.py", "Python"), ("src/b.rs", "Rust"), ("c.c", "C"), ("x/d.js", "JavaScript")],
)
def test_source_code_says_its_language(name, language):
    (record,) = records(b"some code\n", name)
    assert record.fields == {"code": language}
    (record,) = records(b"some code\n", f"{name}.gz")  # as it is called when its content comes unpacked
    assert record.fields == {"code": language}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("node_modules/x/a.js", b"var a;\n", "vendored"),
        ("a.min.js", b"var a;\n", "minified"),
        ("a.js", b"var a;" * 1000, "minified"),
        ("a.js", (b"var a = 1; " * 15 + b"\n") * 50, "minified"),
        ("a.py", b"\x7fELF\0\0", "binary"),
    ],
)
def test_code_that_nobody_wrote_here_is_set_aside(name, data, reason):
    with pytest.raises(FileRefused) as refusal:
        records(data, name)
    assert refusal.value.reason == reason


def a_mail(subject: str, text: str, **more) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "Zoë <zoe@example.org>", "bo@example.org"
    mail["Date"] = "Tue, 07 Mar 2000 10:11:12 +0100"
    mail.set_content(text, **more)
    return mail


def test_mailbox_written_by_the_standard_library_is_read_back(tmp_path):
    box = mailbox.mbox(tmp_path / "a.mbox")
    both = a_mail("Grüße", "plain body\nFrom here on, a quoted line\n")
    both.add_alternative("<p>html body</p>", subtype="html")
    both.add_attachment(b"\0\1\2", maintype="application", subtype="pdf", filename="x.pdf")
    page = EmailMessage()
    page["Subject"] = "only html"
    page.set_content(f"<html><body><p>{ARTICLE}</p></body></html>", subtype="html")
    empty = EmailMessage()
    empty.add_attachment(b"\0\1", maintype="image", subtype="png", filename="x.png")
    for message in (both, page, a_mail("third", "déjà vu\n", charset="iso-8859-1"), empty):
        box.add(message)
    box.close()
    found = records((tmp_path / "a.mbox").read_bytes(), "a.mbox")
    assert [t.strip() for t in texts(found)] == [
        "plain body\nFrom here on, a quoted line", ARTICLE, "déjà vu"
    ]  # fmt: skip
    assert found[0].fields["subject"] == "Grüße"
    assert found[0].fields["from"] == "Zoë <zoe@example.org>"
    assert found[0].fields["created"] == "2000-03-07"
    assert refusals(found) == {"00000004": "empty"}


def test_single_mail_is_read(tmp_path):
    (record,) = records(a_mail("hello", "the body\n").as_bytes(), "a.eml")
    assert ("".join(record.pieces), record.place, record.fields["subject"]) == ("the body\n", "", "hello")


def test_mail_in_another_encoding_than_it_says_is_read_and_marked():
    data = b"Content-Type: text/plain; charset=utf-8\n\ncaf\xe9 au lait\n"
    (record,) = records(data, "a.eml")
    assert "".join(record.pieces) == "café au lait\n"
    assert record.fields["encoding"] == "cp1252, guessed"


def test_mailbox_with_a_huge_message_reads_the_others(monkeypatch):
    monkeypatch.setattr("model.corpus.readers.mail.LARGEST_MESSAGE_BYTES", 10_000)
    mail = b"Subject: x\n\nshort\n\n"
    data = b"From a\n" + mail + b"From b\n\n" + b"x" * 500_000 + b"\n\nFrom c\n" + mail
    found = records(data, "a.mbox")
    assert texts(found) == ["short\n\n", "short\n\n"]
    assert refusals(found) == {"00000002": "long_message"}


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"Subject: x\n\nno mailbox\n", "broken_mbox")])
def test_file_that_is_no_mailbox_is_refused(data, reason):
    with pytest.raises(FileRefused) as refusal:
        records(data, "a.mbox")
    assert refusal.value.reason == reason


@given(st.binary(max_size=400))
def test_no_bytes_make_the_mail_reader_fail(data):
    assert len(records(b"From a\n" + data.replace(b"\nFrom ", b""), "a.mbox")) == 1


def test_deeply_nested_mail_is_set_aside():
    data = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i) for i in range(3000))
    started = time.process_time()
    found = records(data, "a.eml")
    assert refusals(found)[""] in {"broken_mail", "empty"}
    assert time.process_time() - started < 10
