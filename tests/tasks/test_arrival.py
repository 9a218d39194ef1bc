"""Only a proven acceptance ends a delivery, and a damaged line is found and holds up no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_courier import child
from tracked_stages import SETTINGS, deliver_here, empty_database, history, params, workspace

from model.errors import TrackingError
from tasks.courier import Courier, deliver, delivery_report
from tasks.journal import open_journal
from tasks.journal_file import damaged_lines, journal_files, read_events
from tasks.tracking import reason, tracking_errors

__all__ = ["empty_database", "workspace"]
pytestmark = pytest.mark.feature("OPS-01")

ANSWERS = {
    "404": (404, "<html>nothing here</html>"),
    "404 as json": (404, '{"detail": "Not Found"}'),
    "404 in MLflow's words": (404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}'),
    "400": (400, "bad"),
    "400 in MLflow's words": (400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}'),
    "empty": (200, "{}"),
    "nothing": (200, ""),
    "list": (200, "[]"),
    "html": (200, "<html>please log in</html>"),
    "odd": (200, '{"experiment": 3, "run": {"info": []}}'),
    "500": (500, "oops"),
    "hangs": (0, ""),
}


@pytest.fixture
def impostor() -> Iterator[ThreadingHTTPServer]:
    """Something on loopback that answers every request alike, and is no tracking server."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = self.server.says  # type: ignore[attr-defined]
            if not status:
                time.sleep(4)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if text.startswith(("{", "[")) else "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    for method in ("GET", "POST", "PUT", "PATCH"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_tracking_server_leaves_the_journal_waiting_with_the_reason(
    workspace: Path, impostor: ThreadingHTTPServer, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor.says = ANSWERS[answer]  # type: ignore[attr-defined]
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        for step in range(30):
            journal.metrics({"loss": 1.0 / (step + 1)}, step)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{impostor.server_port}")
        settings = SETTINGS.model_copy(update={"tracking_timeout_s": 1})
        courier = Courier(workspace, settings)
        for _ in range(2):
            with pytest.raises(TrackingError) as caught, tracking_errors(workspace):
                courier.send_all()
            assert "\n" not in reason(caught.value)
        report = delivery_report(workspace)
        assert (report.delivered, len(report.waiting), report.refused) == (False, 1, [])
    for _ in range(2):
        deliver_here(workspace)
    assert delivery_report(workspace).delivered
    run = child(workspace, "pretrain")
    assert history(workspace, run.info.run_id, "loss") == [(step, 1.0 / (step + 1)) for step in range(30)]


def test_metrics_that_a_server_took_and_lost_are_sent_again(workspace: Path) -> None:
    import sqlite3

    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        for step in range(20):
            journal.metrics({"loss": 1.0}, step)
        deliver_here(workspace)
        with sqlite3.connect(workspace / "mlflow.db") as database:
            database.execute("DELETE FROM metrics WHERE step > 4 AND key = 'loss'")
    with pytest.raises(TrackingError, match=r"does not have 15 of 20 steps of loss"):
        deliver_here(workspace)
    assert not delivery_report(workspace).delivered
    deliver_here(workspace)
    assert delivery_report(workspace).delivered
    assert len(history(workspace, child(workspace, "pretrain").info.run_id, "loss")) == 20


def test_a_journal_that_an_older_version_gave_up_is_tried_again(workspace: Path) -> None:
    with open_journal(workspace, "clean", params(), SETTINGS) as journal:
        journal.metrics({"kept": 3.0})
    (file,) = journal_files(workspace)
    state = {"uri": "the workspace", "offset": 0, "done": True, "status": "", "problem": "404", "key": ""}
    file.sent.write_text(json.dumps(state), encoding="utf-8")
    assert not delivery_report(workspace).delivered
    deliver(workspace, 0.0, again=True)
    deliver_here(workspace)
    assert delivery_report(workspace).delivered
    assert child(workspace, "clean").data.metrics["kept"] == 3.0


def flip(path: Path, line: int, at: int) -> None:
    """Flip the lowest bit of one byte of one line."""
    lines = path.read_bytes().splitlines(keepends=True)
    changed = bytearray(lines[line])
    changed[at % len(changed)] ^= 1
    lines[line] = bytes(changed)
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("line", [0, 4])
def test_a_flipped_bit_is_named_and_every_other_line_arrives(workspace: Path, line: int) -> None:
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        for step in range(6):
            journal.metrics({"loss": float(step)}, step)
    (file,) = journal_files(workspace)
    flip(file.path, line, file.path.read_bytes().splitlines()[line].index(b": ") + 3)
    assert damaged_lines(file.path) == [line + 1]
    deliver_here(workspace)
    report = delivery_report(workspace)
    assert report.waiting == []
    (said,) = report.damaged
    assert str(file.path) in said
    assert f"line {line + 1} " in said
    run = child(workspace, "pretrain")
    wanted = [(float(s), float(s)) for s in range(6) if s + 1 != line]
    assert [(s, v) for s, v in history(workspace, run.info.run_id, "loss")] == wanted


def test_a_flip_anywhere_in_a_line_never_changes_what_is_read(tmp_path: Path) -> None:
    with open_journal(tmp_path, "pretrain", params(), SETTINGS) as journal:
        journal.metrics({"loss": 2.5}, 1)
    (file,) = journal_files(tmp_path)
    whole = file.path.read_bytes()
    events = [event for _, event in read_events(file.path)]
    length = len(whole.splitlines(keepends=True)[1])
    for at in range(length * 8):
        lines = whole.splitlines(keepends=True)
        changed = bytearray(lines[1])
        changed[at // 8] ^= 1 << at % 8
        file.path.write_bytes(lines[0] + bytes(changed) + b"".join(lines[2:]))
        assert all({k: event[k] for k in known} == known for event, known in _pairs(file.path, events)), at


def _pairs(path: Path, events: list[dict]) -> list[tuple[dict, dict]]:
    known = {event["event"]: event for event in events}
    return [(event, known[event["event"]]) for _, event in read_events(path)]


def test_lines_of_older_versions_have_no_checksum_and_count(tmp_path: Path) -> None:
    path = tmp_path / "pretrain-1.jsonl"
    path.write_text('{"event": "open"}\n{"event": "metrics", "step": 1}\n', encoding="utf-8")
    assert [event["event"] for _, event in read_events(path)] == ["open", "metrics"]
    assert damaged_lines(path) == []
