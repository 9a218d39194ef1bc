"""Whole files or none: atomic writes, manifests, and every way in which bytes can be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import IntegrityError, StorageError
from model.files import (
    MANIFEST,
    TEMPORARY_MARK,
    finished_folder,
    remove_litter,
    sha256_file,
    verify_manifest,
    write_bytes,
    write_json,
    write_manifest,
)

NAMES = st.sampled_from(["a", "b.txt", "folder/c", "folder/deeper/d.json"])


def make(folder: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@given(content=st.dictionaries(NAMES, st.binary(max_size=200), min_size=1))
def test_equal_contents_have_equal_digests_wherever_they_lie(
    content: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (tmp_path_factory.mktemp("folder") for _ in range(2))
    make(first, content)
    make(second, dict(reversed(content.items())))
    assert write_manifest(first) == write_manifest(second) == verify_manifest(first)


@given(content=st.binary(min_size=1, max_size=500), data=st.data())
def test_a_flipped_bit_anywhere_is_found_and_the_file_named(
    content: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    make(folder, {"weights.bin": content})
    write_manifest(folder)
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << (bit % 8)
    (folder / "weights.bin").write_bytes(damaged)
    with pytest.raises(IntegrityError, match=r"weights\.bin: sha256 .* expected .*tisslm verify --repair"):
        verify_manifest(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "a").write_bytes(b"longer than before"), "18 bytes, expected 3"),
        (lambda f: (f / "a").unlink(), "missing a"),
        (lambda f: (f / "new").write_bytes(b""), "unexpected new"),
        (lambda f: (f / MANIFEST).unlink(), "was never finished"),
        (lambda f: (f / MANIFEST).write_text("{"), "not valid JSON"),
        (lambda f: (f / MANIFEST).write_text("[]"), "has no table of files"),
    ],
)
def test_every_other_damage_is_named_in_one_line(tmp_path: Path, damage: object, message: str) -> None:
    make(tmp_path, {"a": b"abc", "b": b""})
    write_manifest(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(IntegrityError, match=message) as caught:
        verify_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_fails_half_way_leaves_the_old_one_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with finished_folder(target) as folder:
        (folder / "a").write_text("first")
    before = verify_manifest(target)
    with pytest.raises(FileNotFoundError), finished_folder(target) as folder:
        (folder / "a").write_text("second")
        (folder / "missing").read_text()
    assert verify_manifest(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_write_over_the_size_limit_is_a_storage_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    code = f"""
import resource
from pathlib import Path
from model.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_bytes(Path({str(path)!r}), b"x" * 5000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"{StorageError.__name__}: {path}: write of 5,000 bytes failed, File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="check its owner and permissions"):
        write_json(tmp_path / "file.json", {})


def test_litter_of_a_killed_run_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_MARK}half").mkdir()
    (tmp_path / f"{TEMPORARY_MARK}file").write_text("x")
    (tmp_path / "kept").write_text("x")
    remove_litter(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


WRITER = """
import sys
from pathlib import Path
from model.files import finished_folder
with finished_folder(Path(sys.argv[1])) as folder:
    (folder / "a").write_text(sys.argv[2])
    print("begun", flush=True)
    sys.stdin.readline()
"""


def writer(target: Path, text: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, str(target), text]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_two_live_writers_of_one_folder_leave_each_other_alone_and_both_finish(tmp_path: Path) -> None:
    first, second = writer(tmp_path / "out", "first"), writer(tmp_path / "out", "second")
    remove_litter(tmp_path)  # as a third process does at its start
    for process, text in ((second, "second"), (first, "first")):
        process.communicate("go on\n", timeout=60)
        assert process.returncode == 0
        verify_manifest(tmp_path / "out")
        assert (tmp_path / "out" / "a").read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_writer_left_goes_at_the_next_start_beside_a_live_one(tmp_path: Path) -> None:
    dead, live = writer(tmp_path / "out", "dead"), writer(tmp_path / "out", "live")
    dead.kill()
    dead.wait(timeout=60)
    assert len(remove_litter(tmp_path)) == 1
    live.communicate("go on\n", timeout=60)
    assert (tmp_path / "out" / "a").read_text() == "live"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_writers_of_one_folder_at_full_speed_always_leave_a_whole_one(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from model.files import finished_folder, write_text
for number in range(40):
    with finished_folder(Path(sys.argv[1])) as folder:
        write_text(folder / "a", f"{sys.argv[2]} {number}")
"""
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    processes = [subprocess.Popen([*words, name]) for name in "ab"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    verify_manifest(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_sha256_is_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
