"""Files of every kind become records; files that cannot are set aside with a reason that a person can act on."""

import contextlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.corpus.readers.compression import decompressed
from model.corpus.readers.formats import READERS, reader_for
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

pytestmark = pytest.mark.feature("CORP-01")


def file_of(data: bytes, name: str = "a.txt", encoding: str = "utf-8") -> SourceFile:
    return SourceFile(name, lambda: io.BytesIO(data), encoding)


def read(data: bytes, name: str = "a.txt", encoding: str = "utf-8") -> list:
    records = reader_for(name)(file_of(data, name, encoding))
    return ["".join(r.pieces) if isinstance(r, Record) else r for r in records]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_text_file_gives_back_its_text(text):
    if text.strip() and not text.startswith("\ufeff"):
        assert read(text.encode()) == [text]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_text_file_in_a_declared_encoding_is_decoded(encoding):
    assert read("naïve café".encode(encoding), encoding=encoding) == ["naïve café"]


def test_byte_order_mark_is_removed():
    assert read(b"\xef\xbb\xbfHello") == ["Hello"]


def test_character_on_the_border_of_two_pieces_stays_whole():
    text = "a" * ((1 << 20) - 1) + "é" * 10
    assert read(text.encode()) == [text]


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "no text"),
        (b" \n\t ", "empty", "no text"),
        (b"caf\xe9 au lait", "not_utf8", "byte 0xe9 at offset 3"),
        (b"a" * (1 << 20) + b"\xff", "not_utf8", "byte 0xff at offset 1,048,576"),
        (b"a" * ((1 << 20) - 1) + b"\xc3(", "not_utf8", "byte 0xc3 at offset 1,048,575"),
        (b"cut \xe2\x82", "not_utf8", "byte 0xe2 at offset 4"),
        (b"abc\0def", "binary", "NUL byte at offset 3"),
        (b"\0" * 5000, "binary", "NUL byte at offset 0"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary", "NUL byte at offset 8"),
    ],
)
def test_text_file_that_is_no_text_is_refused_with_place(data, reason, detail):
    with pytest.raises(FileRefused) as refusal:
        read(data)
    assert refusal.value.reason == reason
    assert detail in refusal.value.detail


def test_latin1_refusal_says_which_setting_helps():
    with pytest.raises(FileRefused, match="encoding: latin-1"):
        read(b"caf\xe9")


def test_unknown_ending_is_refused_with_the_known_ones():
    with pytest.raises(FileRefused, match=r"'.xyz'; readable are .txt, .md, .*, and the archives .zip"):
        reader_for("x.xyz")


def test_jsonl_bad_lines_are_refused_and_the_others_read():
    deep = b"[" * 100_000
    lines = [
        b'{"text": "one"}', b"{broken", b"", b'{"txt": 1, "b": 2}', b'{"text": 5}', b"[1]", b'{"text": "caf\xe9"}',
        b'{"text": " "}', deep, b'{"text": "two", "date": "1900"}',
    ]  # fmt: skip
    found = read(b"\n".join(lines), "a.jsonl")
    assert [r for r in found if isinstance(r, str)] == ["one", "two"]
    refused = {int(r.place): (r.reason, r.detail) for r in found if isinstance(r, RefusedRecord)}
    assert {n: reason for n, (reason, _) in refused.items()} == {
        2: "broken_json", 4: "no_text", 5: "no_text", 6: "no_text", 7: "not_utf8", 8: "empty", 9: "broken_json"
    }  # fmt: skip
    assert refused[2][1].startswith("line 2: ")
    assert "fields found: txt, b" in refused[4][1]


def test_jsonl_line_longer_than_the_limit_is_refused_and_the_next_read(monkeypatch):
    monkeypatch.setattr("model.corpus.readers.jsonl.LONGEST_LINE_BYTES", 100)
    data = json.dumps({"text": "x" * 350}).encode() + b'\n{"text": "short"}\n'
    found = read(data, "a.jsonl")
    assert found[0].reason == "long_line"
    assert found[1:] == ["short"]


def test_parquet_rows_are_records_and_null_texts_refused():
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["one", None, "two"], "year": [1, 2, 3]}), buffer)
    found = list(reader_for("a.parquet")(file_of(buffer.getvalue(), "a.parquet")))
    assert [(r.place, r.fields) for r in found if isinstance(r, Record)] == [
        ("00000001", {"year": 1}),
        ("00000003", {"year": 3}),
    ]
    assert [r.place for r in found if isinstance(r, RefusedRecord)] == ["00000002"]


def test_parquet_without_text_column_names_the_columns_found():
    buffer = io.BytesIO()
    pq.write_table(pa.table({"body": ["x"], "year": [1]}), buffer)
    with pytest.raises(FileRefused, match="no column 'text'; columns found: body, year"):
        read(buffer.getvalue(), "a.parquet")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all" * 10])
def test_file_that_is_not_parquet_is_refused(data):
    with pytest.raises(FileRefused) as refusal:
        read(data, "a.parquet")
    assert refusal.value.reason == "broken_parquet"


SEEDS = [
    b"text,a\n1,2\n", b'{"text": "x"}\n', b"From a\nSubject: b\n\nc", b"<html><p>x", b"PAR1", b"\x1f\x8b\x08",
    b"\xff\xfe",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(SEEDS) | st.binary(max_size=30), max_size=8).map(b"".join),
    st.sampled_from([*READERS, ".py", ".txt.gz", ".jsonl.zst"]),
)
def test_no_bytes_make_a_reader_fail_in_another_way_than_by_refusing(data, ending):
    name = f"a{ending}"
    opened = decompressed(name, lambda: io.BytesIO(data))
    with contextlib.suppress(FileRefused):
        for record in reader_for(name)(SourceFile(name, opened)):
            text = "".join(record.pieces) if isinstance(record, Record) else record.detail
            assert text
            assert "\n" not in getattr(record, "detail", "")
