"""Compressed files are read like what is in them; damage and bombs are refused at a bounded cost."""

import gzip
import io
import json
import random
import time

import pytest
import zstandard

from model.corpus.readers.compression import decompressed
from model.corpus.readers.formats import reader_for
from model.corpus.readers.source_file import Record, SourceFile
from model.corpus.set_aside import FileRefused

pytestmark = pytest.mark.feature("CORP-01")
LINES = "".join(json.dumps({"text": f"line {i}"}) + "\n" for i in range(1000)).encode()
PACK = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}


def read(name: str, data: bytes) -> list:
    opened = decompressed(name, lambda: io.BytesIO(data))
    records = reader_for(name)(SourceFile(name, opened))
    return ["".join(r.pieces) for r in records if isinstance(r, Record)]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_files_give_what_is_in_them(ending):
    pack = PACK[ending]
    assert read(f"a.jsonl{ending}", pack(LINES)) == [f"line {i}" for i in range(1000)]
    assert read(f"a.txt{ending}", pack("naïve".encode())) == ["naïve"]
    assert read(f"a.md{ending.upper()}", pack(b"one ") + pack(b"two")) == ["one two"]
    assert read(f"a.csv{ending}", pack(b"text\nhello\n")) == ["hello"]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flip", "other", "nothing"])
def test_damaged_compressed_file_is_refused(ending, damage):
    data = PACK[ending](LINES * 20)
    data = {
        "cut": data[: len(data) // 2],
        "flip": data[:100] + bytes(byte ^ 0xFF for byte in data[100:160]) + data[160:],
        "other": b"not compressed at all",
        "nothing": b"",
    }[damage]
    with pytest.raises(FileRefused) as refusal:
        read(f"a.txt{ending}", data)
    reasons = {"nothing": "empty", "cut": "cut_off"}
    assert refusal.value.reason == reasons.get(damage, f"broken_{ending[1:]}")


@pytest.mark.parametrize("n_bytes", [1, 3, 5, 20, 100, -1])
def test_zstd_file_that_is_cut_off_anywhere_is_refused(n_bytes):
    with pytest.raises(FileRefused) as refusal:
        read("a.txt.zst", PACK[".zst"](LINES)[:n_bytes])
    assert refusal.value.reason == "cut_off"


def test_zstd_frames_without_content_are_passed_over():
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    assert read("a.txt.zst", skippable + zstandard.compress(b"one") + skippable + zstandard.compress(b"two")) == [
        "onetwo"
    ]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_bomb_is_refused_soon(ending):
    if ending == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb") as file:
            for _ in range(400):
                file.write(b"a" * 1_000_000)
        data = buffer.getvalue()
    else:
        data = zstandard.ZstdCompressor().compress(b"a" * 400_000_000)
    started = time.process_time()
    with pytest.raises(FileRefused, match="more than 200 times") as refusal:
        read(f"a.txt{ending}", data)
    assert refusal.value.reason == "bomb"
    assert time.process_time() - started < 2


def test_absolute_limit_holds(monkeypatch):
    monkeypatch.setattr("model.corpus.readers.compression.MAX_BYTES", 1000)
    with pytest.raises(FileRefused, match="more than 1,000 bytes"):
        read("a.txt.gz", gzip.compress(bytes(range(32, 127)) * 50))


def test_zstd_frame_that_wants_gigabytes_of_window_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=30)
    data = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(b"x" * 3_000_000)
    data += zstandard.ZstdCompressor(compression_params=parameters).compress(b"x")
    with pytest.raises(FileRefused):
        read("a.txt.zst", data)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_file_that_is_cut_off_gives_its_complete_lines_and_says_so(ending, kind):
    noise = random.Random(1)
    words = [f"line {i} {noise.getrandbits(200):x}" for i in range(20_000)]
    content = "text\n" + "\n".join(words) if kind == "csv" else "\n".join(words)
    if kind == "jsonl":
        content = "\n".join(json.dumps({"text": word}) for word in words)
    packed = PACK[ending](content.encode())
    opened = decompressed(f"a.{kind}{ending}", lambda: io.BytesIO(packed[: len(packed) * 9 // 10]))
    found = []
    with pytest.raises(FileRefused, match="ends in the middle") as refusal:
        for record in reader_for(f"a.{kind}{ending}")(SourceFile(f"a.{kind}{ending}", opened)):
            found.append("".join(record.pieces))
    lines = "".join(found).splitlines() if kind == "txt" else found
    assert lines == words[: len(lines)]
    assert len(lines) > 0.7 * len(words)  # a block of zstd is 128 KB
    assert refusal.value.reason == "cut_off"
