"""What a person sees: a line per stage, a bar on a terminal, a table of results that were really there."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.console import ConsoleView
from flows.outcome import Outcome
from flows.results import collect_results, show_results
from model.errors import TrainingError

pytestmark = pytest.mark.feature("PIPE-01")
EVENT = {"done": 30, "total": 60, "unit": "steps", "left_s": 75, "figures": {"loss": 2.5, "tokens_per_second": 5120.0}}


def view(terminal: bool) -> tuple[ConsoleView, io.StringIO]:
    screen = io.StringIO()
    return ConsoleView(Console(file=screen, force_terminal=terminal, width=120, color_system=None)), screen


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome("clean", "worked", "kept 40 of 41", 2.34), "clean       kept 40 of 41  2.3 s"),
        (Outcome("clean", "unchanged", "kept 40 of 41", 0.1), "clean       unchanged: kept 40 of 41"),
        (Outcome("clean", "unchanged", "", 0.1), "clean       unchanged"),
        (Outcome("pretrain", "worked", "", 200.0), "pretrain    done  3 min 20 s"),
        (Outcome("clean", "restored", "kept 4", 1.0), "clean       kept 4 (restored from an equal earlier run)  1.0 s"),
    ],
)
def test_a_finished_stage_is_one_line(outcome: Outcome, line: str) -> None:
    shown, screen = view(terminal=False)
    shown.started(outcome.stage)
    shown.ended(outcome)
    shown.close()
    assert screen.getvalue() == f"{line}\n"


def test_text_in_brackets_is_text_and_not_markup() -> None:
    shown, screen = view(terminal=False)
    shown.ended(Outcome("clean", "worked", "dropped [red] and [/red]", 1.0))
    shown.failed("pretrain", TrainingError("pretrain: loss is [nan]"))
    assert "dropped [red] and [/red]" in screen.getvalue()
    assert "pretrain    failed: loss is [nan]\n" in screen.getvalue()


def test_on_a_terminal_a_bar_shows_loss_speed_and_time_left() -> None:
    shown, screen = view(terminal=True)
    shown.started("pretrain")
    shown.progress("pretrain", EVENT)
    shown._bars().refresh()
    shown.ended(Outcome("pretrain", "worked", "done", 1.0))
    shown.close()
    for word in ("30/60 steps", "loss 2.5", "tokens/s 5,120", "1 min 15 s left"):
        assert word in screen.getvalue()


def test_without_a_terminal_short_work_stays_silent() -> None:
    shown, screen = view(terminal=False)
    shown.started("pretrain")
    shown.progress("pretrain", EVENT)
    assert screen.getvalue() == ""


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_the_results_compare_with_the_baselines_and_name_what_exists(tmp_path: Path) -> None:
    reports = tmp_path / "data" / "reports"
    samples = [{"prompt": "The state", "text": " of the Union [is] good"}]
    scores = {"test": {"bits_per_byte": 1.5}}
    write(
        tmp_path / "data" / "evaluated" / "evaluation.json",
        {"scores": scores, "baselines": {"xz": 2.0, "ppmd16": 1.25}, "samples": samples},
    )
    write(reports / "evaluate.json", {"test_perplexity": 30.0, "parameters": 1234567})
    write(reports / "quantize.json", {"int8_bytes": 1_000_000, "size_ratio": 0.25, "delta_bpb": 0.00123})
    write(reports / "publish.json", {"version": 3})
    write(reports / "publish" / "details.json", {"facts": {"aliases": ["candidate", "champion"], "verdict": "better"}})
    (reports / "publish" / "report.html").write_text("<html>", encoding="utf-8")
    (tmp_path / "data" / "published").mkdir()
    screen = io.StringIO()
    show_results(Console(file=screen, width=160), tmp_path, collect_results(tmp_path))
    text = " ".join(screen.getvalue().split())
    for words in (
        "test text 1.5000 bits per byte",
        "xz, primed 2.0000 the model needs 25.0 % less",
        "ppmd16, primed 1.2500 the model needs 20.0 % more",
        "parameters 1,234,567",
        "size 4.0 MB; as int8 1.0 MB (25%)",
        "int8 costs +0.0012",
        "registry version 3 candidate, champion; better",
        "sample: The state of the Union [is] good",
        'tisslm generate "The state of the Union is"',
        "report.html",
        "tisslm ui",
    ):
        assert words in text


def test_nothing_is_claimed_where_nothing_ran(tmp_path: Path) -> None:
    results = collect_results(tmp_path)
    assert results.rows == []
    screen = io.StringIO()
    show_results(Console(file=screen, width=160), tmp_path, results)
    assert "generate" not in screen.getvalue()
    assert "report" not in screen.getvalue()
