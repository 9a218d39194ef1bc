"""The journal keeps every figure, never twice, whatever happens to the process that writes it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracked_stages import SETTINGS, params

from tasks.journal import LARGEST_ARTIFACT_BYTES, NullJournal, open_journal, pipeline_identity
from tasks.journal_file import JournalFile, journal_files, read_events

REPOSITORY = Path(__file__).resolve().parents[2]


def events(root: Path, stage: str = "pretrain") -> list[dict]:
    files = [f for f in journal_files(root) if f.stage == stage]
    return [event for file in files for _, event in read_events(file.path)]


def journalled(root: Path, name: str) -> list[tuple[int, float]]:
    found = [e for e in events(root) if e["event"] == "metrics"]
    return [(e["step"], e["values"][name]) for e in found if name in e["values"]]


def cut_off(root: Path, body: str, steps: int = 10) -> None:
    """Run a stage in a process of its own that kills itself at the end of `body`."""
    code = f"""
        import os, signal
        from pathlib import Path
        from tracked_stages import SETTINGS, params
        from tasks.journal import open_journal
        with open_journal(Path({str(root)!r}), "pretrain", params({steps}), SETTINGS) as journal:
            journal.tags({{"input.tokens": "abc"}})
            {body}
            os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.feature("OPS-01")
def test_a_finished_stage_leaves_its_figures_in_order(tmp_path: Path) -> None:
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        for step in range(5):
            journal.metrics({"loss": 5.0 - step}, step)
        journal.metrics({"seconds": 3.0})
    assert journalled(tmp_path, "loss") == [(step, 5.0 - step) for step in range(5)]
    opened, *_, closed = events(tmp_path)
    assert opened["params"]["pretrain.steps"] == 10
    assert not any(name.startswith("clean.") for name in opened["params"])
    assert opened["all_params"]["clean.test_fraction"] == params().clean.test_fraction
    assert opened["tags"]["params_digest"] == params().digest
    assert closed["status"] == "FINISHED"


@pytest.mark.parametrize(("error", "status"), [(ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_stage_that_ends_badly_says_how(tmp_path: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), open_journal(tmp_path, "pretrain", params(), SETTINGS):
        raise error
    assert events(tmp_path)[-1]["status"] == status


@given(value=st.floats())
def test_any_float_can_be_journalled_and_the_file_stays_json(tmp_path_factory: pytest.TempPathFactory, value: float):
    root = tmp_path_factory.mktemp("floats")
    with open_journal(root, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": value, "good": 1.0}, 7)
    assert journalled(root, "good") == [(7, 1.0)]
    if math.isfinite(value):
        assert journalled(root, "loss") == [(7, value)]
    else:
        tags = {k: v for e in events(root) if e["event"] == "tags" for k, v in e["values"].items()}
        assert tags == {"not_finite.loss": f"{value} at step 7"}


def test_a_torn_last_line_is_skipped_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pretrain-1.jsonl"
    whole = b'{"event": "open"}\nnot json\n{"event": "metrics"}\n'
    path.write_bytes(whole + b'{"event": "clo')
    assert [(offset, e["event"]) for offset, e in read_events(path)] == [(18, "open"), (len(whole), "metrics")]


@pytest.mark.feature("OPS-01")
def test_a_resumed_stage_journals_no_step_twice(tmp_path: Path) -> None:
    cut_off(tmp_path, "[journal.metrics({'loss': 9.0 - s, 'rate': 1.0}, s) for s in range(7)]")
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.tags({"input.tokens": "abc"})
        journal.resumed(4)  # the last checkpoint; steps 4 to 6 are done again
        for step in range(4, 10):
            journal.metrics({"loss": 9.0 - step, "rate": 2.0}, step)
    assert sorted(journalled(tmp_path, "loss")) == [(step, 9.0 - step) for step in range(10)]
    first = next(f for f in journal_files(tmp_path) if not any(e["event"] == "resumed" for _, e in read_events(f.path)))
    assert journal.run_id == first.attempt


def test_a_stage_cut_off_twice_is_still_one_run(tmp_path: Path) -> None:
    cut_off(tmp_path, "[journal.metrics({'loss': 1.0}, s) for s in range(3)]")
    cut_off(tmp_path, "journal.resumed(2); [journal.metrics({'loss': 1.0}, s) for s in range(2, 6)]")
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.tags({"input.tokens": "abc"})
        journal.resumed(5)
        for step in range(5, 8):
            journal.metrics({"loss": 1.0}, step)
    assert [step for step, _ in sorted(journalled(tmp_path, "loss"))] == list(range(8))


@pytest.mark.parametrize("case", ["other params", "other inputs", "finished"])
def test_a_stage_continues_only_what_is_its_own(tmp_path: Path, case: str) -> None:
    if case == "finished":
        with open_journal(tmp_path, "pretrain", params(), SETTINGS) as before:
            before.tags({"input.tokens": "abc"})
            before.metrics({"loss": 1.0}, 3)
    else:
        cut_off(tmp_path, "journal.metrics({'loss': 1.0}, 3)", steps=11 if case == "other params" else 10)
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.tags({"input.tokens": "xyz" if case == "other inputs" else "abc"})
        journal.resumed(3)
        journal.metrics({"loss": 2.0}, 3)
    assert sorted(journalled(tmp_path, "loss")) == [(3, 1.0), (3, 2.0)]


def test_report_files_are_copied_so_that_later_runs_do_not_change_them(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("first", encoding="utf-8")
    large = tmp_path / "large.bin"
    with open(large, "wb") as file:
        file.truncate(LARGEST_ARTIFACT_BYTES + 1)
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.artifact(report, "report")
        journal.artifact(large)
        journal.artifact(tmp_path / "missing.csv")
    report.write_text("second", encoding="utf-8")
    (file,) = journal_files(tmp_path)
    assert (file.files / "report" / "report.json").read_text(encoding="utf-8") == "first"
    assert not (file.files / "large.bin").exists()
    tags = {k: v for e in events(tmp_path) if e["event"] == "tags" for k, v in e["values"].items()}
    assert tags == {
        "left_out.large.bin": f"{LARGEST_ARTIFACT_BYTES + 1:,} bytes, limit {LARGEST_ARTIFACT_BYTES:,}",
        "left_out.missing.csv": "no such file",
    }


def test_a_null_journal_takes_everything_and_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = NullJournal()
    journal.resumed(3)
    journal.metrics({"loss": 1.0, "odd": float("nan")}, 3)
    journal.tags({"a": "b"})
    journal.dataset("d", Path("x"), "0", "training", {})
    journal.artifact(Path("missing"))
    journal.progress(1, 2, "steps", loss=1.0)
    journal.say("hello")
    assert list(tmp_path.iterdir()) == []
    assert [e["event"] for e in journal.events] == ["resumed", "metrics", "tags", "tags", "dataset"]


def test_stages_of_one_dvc_process_share_a_pipeline_run(tmp_path: Path) -> None:
    dvc = tmp_path / "dvc"  # what dvc does: run each stage's command through a shell
    dvc.write_text(
        "import subprocess\n"
        "for _ in range(2):\n"
        "    subprocess.run('true; python -c \"$CODE\"', shell=True, check=True)\n",
        encoding="utf-8",
    )
    code = "import json; from tasks.journal import *; from tracked_stages import SETTINGS\n"
    code += "print(json.dumps(pipeline_identity(SETTINGS)))"
    path = f"{REPOSITORY}{os.pathsep}{Path(__file__).parent}"
    environment = {
        **os.environ,
        "CODE": code,
        "PYTHONPATH": path,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }

    def repro() -> list[dict]:
        done = subprocess.run([sys.executable, str(dvc), "repro"], env=environment, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    first, second = repro()
    third, _ = repro()
    assert first == second
    assert first["id"].startswith("dvc-")
    assert third["id"] != first["id"]
    assert not pipeline_identity(SETTINGS)["id"].startswith("dvc-")


def test_a_flow_names_the_pipeline_run() -> None:
    settings = SETTINGS.model_copy(update={"pipeline_run": "amber-otter"})
    assert pipeline_identity(settings)["id"] == "amber-otter"


def test_names_of_a_journal_come_from_its_path() -> None:
    file = JournalFile(Path("a/.tisslm/journal/flow-1/pretrain-0a1b.jsonl"))
    assert (file.pipeline, file.stage, file.attempt) == ("flow-1", "pretrain", "0a1b")
