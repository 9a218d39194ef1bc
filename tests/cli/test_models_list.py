"""`tisslm models list`: figures of different test sets never stand side by side unmarked."""

from __future__ import annotations

from cli.models import marked


def row(version: int, figure: float, test_set: str) -> dict[str, object]:
    return {"version": version, "bits_per_byte": figure, "test_set": test_set, "run": "r"}


def test_figures_of_one_test_set_stand_as_they_are() -> None:
    rows = [row(1, 2.0, "aa"), row(2, 1.9, "aa")]
    assert marked(rows) == (rows, "")


def test_figures_of_different_test_sets_each_say_theirs() -> None:
    shown, note = marked([row(1, 2.0, "aa"), row(2, 1.3, "bb"), row(3, 1.2, "")])
    assert [r["bits_per_byte"] for r in shown] == ["2.0 on aa", "1.3 on bb", "1.2 on an unknown set"]
    assert "do not compare" in note
