"""Archives are read like folders; whatever could hurt is set aside, and a bomb costs little."""

import gzip
import io
import os
import struct
import tarfile
import time
import zipfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.archives import archive_members, is_archive
from model.corpus.readers.source_file import SourceFile
from model.corpus.set_aside import FileRefused, SetAside

pytestmark = pytest.mark.feature("CORP-01")


def members(data: bytes, name: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """What an archive gives: contents by name, and reasons by name."""
    contents, aside = {}, {}
    for item in archive_members(SourceFile(name, lambda: io.BytesIO(data), size=len(data)), "s"):
        if isinstance(item, SetAside):
            aside[item.file.removeprefix(f"{name}/")] = item.reason
        else:
            with item.open() as stream:
                first = stream.read()
            with item.open() as stream:
                assert stream.read() == first, "a member can be read twice"
            contents[item.name.removeprefix(f"{name}/")] = first
    return contents, aside


def tar_of(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


names = st.text("abcäß漢 -_", min_size=1, max_size=150).map(str.strip).filter(bool)
trees = st.dictionaries(names, st.binary(max_size=2000), min_size=1, max_size=5)


@given(trees, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_tar_of_the_standard_library_is_read_back(files, form):
    assert members(tar_of(files, form), "a.tar") == (files, {})


@given(trees)
def test_zip_of_the_standard_library_is_read_back(files):
    assert members(zip_of(files), "a.zip") == (files, {})


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.tar.gz", gzip.compress),
        ("a.tgz", gzip.compress),
        ("A.TAR.ZST", zstandard.ZstdCompressor().compress),
    ],
)
def test_compressed_tar_is_read(name, pack):
    files = {"one.txt": b"one", "folder/two.txt": b"two" * 100_000}
    assert is_archive(name)
    assert members(pack(tar_of(files)), name) == (files, {})


def test_tar_made_by_the_system_is_read(tmp_path):
    import subprocess

    long_name = "d" * 120 + "/" + "n" * 130 + ".txt"
    (tmp_path / long_name).parent.mkdir()
    (tmp_path / long_name).write_text("deep")
    (tmp_path / "a.txt").write_text("text")
    done = subprocess.run(["tar", "cf", "-", "-C", tmp_path, "."], capture_output=True, check=True)
    contents, aside = members(done.stdout, "x.tar")
    assert contents["a.txt"] == b"text"
    assert contents[long_name] == b"deep"
    assert aside == {}


def test_what_could_hurt_in_a_tar_is_set_aside():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in [
            ("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE), ("dev", tarfile.CHRTYPE)
        ]:  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ["/etc/abs.txt", "../up.txt", "a/../../up.txt", ".hidden.txt", "in.zip", "good.txt", "good.txt"]:
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"ok"))
    contents, aside = members(buffer.getvalue(), "a.tar")
    assert contents == {"good.txt": b"ok"}
    assert aside == {
        "link": "not_a_file", "hard": "not_a_file", "pipe": "not_a_file", "dev": "not_a_file",
        "/etc/abs.txt": "unsafe_name", "../up.txt": "unsafe_name", "a/../../up.txt": "unsafe_name",
        ".hidden.txt": "hidden", "in.zip": "nested_archive", "good.txt": "duplicate_name",
    }  # fmt: skip


def test_what_could_hurt_in_a_zip_is_set_aside():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ["../up.txt", "C:\\x.txt", "in.tar.gz", "__MACOSX/a.txt", "good.txt"]:
            archive.writestr(name, "ok")
    data = bytearray(buffer.getvalue())
    contents, aside = members(bytes(data), "a.zip")
    assert contents == {"good.txt": b"ok"}
    assert aside == {
        "link.txt": "not_a_file", "../up.txt": "unsafe_name", "C:\\x.txt": "unsafe_name",
        "in.tar.gz": "nested_archive", "__MACOSX/a.txt": "hidden",
    }  # fmt: skip


def test_encrypted_and_damaged_members_are_set_aside_and_the_others_read():
    data = bytearray(zip_of({"a.txt": b"a" * 100, "b.txt": os.urandom(300), "c.txt": b"c"}, zipfile.ZIP_STORED))
    for at in (data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")):
        data[at + (6 if data[at + 2] == 3 else 8)] |= 1  # the bit that says: encrypted
    middle = data.find(b"b.txt") + 100
    data[middle] ^= 0xFF
    contents, aside = members(bytes(data), "a.zip")
    assert contents == {"c.txt": b"c"}
    assert aside == {"a.txt": "encrypted", "b.txt": "broken_member"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.zst"])
@pytest.mark.parametrize("data", [b"", b"no archive " * 200, b"PK\x05\x06" + b"\xff" * 18])
def test_file_that_is_no_archive_is_refused(name, data):
    with pytest.raises(FileRefused) as refusal:
        members(data, name)
    assert refusal.value.reason in {"empty", "broken_archive", "bomb", "broken_gz", "broken_zst"}


def test_tar_that_ends_inside_a_member_gives_those_before():
    data = tar_of({"one.txt": b"1" * 100, "two.txt": b"2" * 10_000})
    found = []
    with pytest.raises(FileRefused, match=r"ends inside 'two.txt'"):
        for item in archive_members(SourceFile("a.tar", lambda: io.BytesIO(data[:4000]), size=4000), "s"):
            found.append(item.name)
    assert found == ["a.tar/one.txt"]


@given(st.integers(0, 511), st.integers(0, 255))
def test_no_changed_byte_of_a_header_makes_the_reader_fail(at, value):
    data = bytearray(tar_of({"one.txt": b"1" * 100}, tarfile.GNU_FORMAT))
    data[at] = value
    try:
        contents, _ = members(bytes(data), "a.tar")
    except FileRefused:  # anything else would be a failure of the run
        contents = {}
    assert set(contents.values()) <= {b"1" * length for length in range(101)}


def test_header_that_claims_a_huge_size_costs_nothing():
    header = bytearray(tar_of({"one.txt": b"1"})[:512])
    header[124:136] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[156:157] = b"L"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    with pytest.raises(FileRefused, match="an extended header claims"):
        members(bytes(header), "a.tar")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_bomb_is_refused_soon(name):
    huge = {f"{i}.txt": b"a" * 40_000_000 for i in range(5)}
    data = zip_of(huge) if name == "a.zip" else gzip.compress(tar_of(huge), 9)
    started = time.process_time()
    with pytest.raises(FileRefused, match="more than 200 times") as refusal:
        members(data, name)
    assert refusal.value.reason == "bomb"
    assert time.process_time() - started < 3


def test_zip_whose_entries_share_their_bytes_is_a_bomb():
    """As in D. Fifield, A better zip bomb (2019): many names for one compressed stream."""
    plain = zip_of({"a.txt": b"a" * 5_000_000})
    start = plain.find(b"PK\x01\x02")
    entry = plain[start : plain.find(b"PK\x05\x06")]
    count = 2000
    entries = b"".join(entry.replace(b"a.txt", b"%05d" % i) for i in range(count))
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count, count, len(entries), start, 0)
    started = time.process_time()
    contents, aside, refused = {}, {}, None
    try:
        contents, aside = members(plain[:start] + entries + end, "a.zip")
    except FileRefused as error:
        refused = error
    assert refused is not None or len(contents) < 10, "names that differ from the local header's are refused too"
    assert time.process_time() - started < 5
    assert aside or refused


def test_too_many_members_are_refused(monkeypatch):
    monkeypatch.setattr("model.corpus.archives.MOST_MEMBERS", 10)
    files = {f"{i}.txt": b"x" for i in range(12)}
    for data, name in ((zip_of(files), "a.zip"), (tar_of(files), "a.tar")):
        with pytest.raises(FileRefused, match=r"files, more than 10|more than 10 files"):
            members(data, name)
