"""What is finished stays finished, what is damaged is done again, and nothing is left at the end."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from model.corpus.shard_runner import ProcessRunner, SerialRunner
from model.corpus.unit_store import code_digest, link_file, open_unit_store, run_units
from model.errors import BusyError

pytestmark = pytest.mark.feature("CORP-02")
SERIAL = SerialRunner()


@dataclass(frozen=True)
class Piece:
    key: str
    calls: Path
    fails: bool = False

    @property
    def name(self) -> str:
        return f"piece {self.key}"


def work(piece: Piece, folder: Path) -> dict:
    with open(piece.calls, "a") as file:
        file.write(piece.key)
    (folder / "part.txt").write_text(piece.key * 3)
    if piece.fails:
        raise ValueError("half done")
    return {"z": (1, 2), "a": piece.key}


@pytest.fixture
def calls(tmp_path):
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def attempt(root, calls, fails="", identity="same", runner=SERIAL, damage=""):
    with open_unit_store(root, "stage", {"identity": identity}) as store:
        if damage:
            (store.unit_folder(damage) / "part.txt").write_text("xxx")
        results = run_units(runner, store, work, [Piece(key, calls, key == fails) for key in "abc"])
        assert [(store.unit_folder(k) / "part.txt").read_text() for k in "abc"] == ["aaa", "bbb", "ccc"]
        link_file(store.unit_folder("a") / "part.txt", root / "kept.txt")
    return results


@pytest.mark.parametrize("runner", [SerialRunner(), ProcessRunner(2)])
def test_results_are_those_of_json_and_the_store_is_gone(tmp_path, calls, runner):
    assert attempt(tmp_path, calls, runner=runner) == [{"a": key, "z": [1, 2]} for key in "abc"]
    assert list((tmp_path / ".tisslm" / "work").iterdir()) == []
    assert (tmp_path / "kept.txt").read_text() == "aaa"


def test_second_attempt_does_only_what_is_missing(tmp_path, calls):
    with pytest.raises(ValueError, match="half done"):
        attempt(tmp_path, calls, fails="b")
    assert calls.read_text() == "ab"
    assert len(attempt(tmp_path, calls)) == 3
    assert calls.read_text() == "abbc"


def test_damaged_unit_is_done_again(tmp_path, calls):
    with pytest.raises(ValueError, match="half done"):
        attempt(tmp_path, calls, fails="b")
    attempt(tmp_path, calls, damage="a")
    assert calls.read_text() == "ababc"


def test_other_work_sees_nothing_and_leaves_nothing(tmp_path, calls):
    with pytest.raises(ValueError, match="half done"):
        attempt(tmp_path, calls, fails="c")
    attempt(tmp_path, calls, identity="other")
    assert calls.read_text() == "abcabc"
    assert list((tmp_path / ".tisslm" / "work").iterdir()) == []


def test_two_at_the_same_work_are_refused(tmp_path):
    with (
        open_unit_store(tmp_path, "stage", {}),
        pytest.raises(BusyError, match="another process does the same work"),
        open_unit_store(tmp_path, "stage", {}),
    ):
        pass


def test_code_digest_changes_with_the_code(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = code_digest(tmp_path)
    assert code_digest(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    assert code_digest(tmp_path) != before
