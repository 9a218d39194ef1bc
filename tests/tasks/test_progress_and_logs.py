"""What a person, the flow and the log file see while a stage works."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracked_stages import SETTINGS

from tasks.logs import TRACE, close_logs, configure_logs
from tasks.progress import ProgressDisplay, describe, duration

REPOSITORY = Path(__file__).resolve().parents[2]


def test_events_for_the_flow_are_json_lines_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    display = ProgressDisplay("pretrain", "events")
    display.update(1, 10, "steps", {"loss": 3.5})
    display.update(2, 10, "steps", {"loss": 3.4})  # within the same second: left out
    display.update(10, 10, "steps", {"loss": float("nan")})
    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line.removeprefix("@progress ")) for line in lines]
    assert [(e["stage"], e["done"], e["total"], e["figures"]) for e in events] == [
        ("pretrain", 1, 10, {"loss": 3.5}),
        ("pretrain", 10, 10, {"loss": "nan"}),
    ]


def test_work_of_a_moment_prints_no_progress_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = ProgressDisplay("clean", "lines")
    for done in range(11):
        display.update(done, 10, "documents", {})
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_with_figures_and_what_the_stage_says() -> None:
    code = "import time; from tasks.progress import ProgressDisplay\n"
    code += "d = ProgressDisplay('pretrain')\n"
    code += (
        "for i in range(4):\n    d.update(i, 8, 'steps', {'loss': 3.25, 'tokens_per_second': 5120.0}); time.sleep(.3)\n"
    )
    code += "d.say('going on from step 4'); d.close()\n"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", "COLUMNS": "160"}
    subprocess.run([sys.executable, "-c", code], env=environment, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    text = shown.decode()
    assert "3/8 steps loss 3.25, tokens/s 5,120" in text
    assert "pretrain: going on from step 4" in text


@given(seconds=st.floats(0, 1e7))
def test_durations_are_as_long_as_they_say(seconds: float) -> None:
    sizes = {"h": 3600, "min": 60, "s": 1}
    words = duration(seconds).split()
    said = sum(int(n) * sizes[u] for n, u in zip(words[::2], words[1::2], strict=True))
    assert abs(said - seconds) <= (60 if "h" in words else 0.5)


def test_figures_read_as_people_write_them() -> None:
    assert describe({"loss": 3.21, "tokens_per_second": 5120.4}) == "loss 3.21, tokens/s 5,120"


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize(("level", "shown"), [("TRACE", 3), ("INFO", 2), ("ERROR", 1)])
def test_levels_choose_what_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str, shown: int
) -> None:
    log = configure_logs(SETTINGS.model_copy(update={"log_level": level}), tmp_path)
    log.log(TRACE, "fine")
    log.info("told")
    log.error("wrong")
    close_logs()
    assert capsys.readouterr().err.splitlines() == ["fine", "told", "wrong"][3 - shown :]


@pytest.mark.feature("DX-06")
def test_json_lines_on_the_terminal_and_always_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = configure_logs(SETTINGS.model_copy(update={"log_format": "json"}), tmp_path)
    log.warning("café %d", 3)
    close_logs()
    file = (tmp_path / ".tisslm/logs/tisslm.log").read_text(encoding="utf-8")
    for text in (capsys.readouterr().err, file):
        line = json.loads(text)
        assert (line["level"], line["name"], line["message"]) == ("WARNING", "tisslm", "café 3")
        assert line["time"]


@pytest.mark.feature("DX-06")
def test_an_exception_keeps_its_traceback_in_the_file(tmp_path: Path) -> None:
    log = configure_logs(SETTINGS, tmp_path)
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("stage failed")
    close_logs()
    assert "ValueError: broken" in json.loads((tmp_path / ".tisslm/logs/tisslm.log").read_text())["exc_info"]


def test_a_folder_that_cannot_hold_a_log_costs_only_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".tisslm").write_text("a file, not a folder", encoding="utf-8")
    configure_logs(SETTINGS, tmp_path).info("still here")
    close_logs()
    complaint, line = capsys.readouterr().err.splitlines()
    assert "no log file" in complaint
    assert line == "still here"
    assert logging.getLogger("tisslm").handlers == []
