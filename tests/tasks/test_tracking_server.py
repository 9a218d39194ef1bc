"""A real MLflow server that is stopped, killed and started again, beside a stage that goes on working."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from small_models import small_pipeline
from tracked_stages import empty_database, params, workspace

from model.files import verify_manifest
from tasks.courier import deliver
from tasks.journal import open_journal
from tasks.registry import resolve
from tasks.settings import Settings

__all__ = ["empty_database", "workspace"]
pytestmark = pytest.mark.slow
SETTINGS = Settings(progress="none", tracking_timeout_s=3, _env_file=None)


@dataclass
class Server:
    """`mlflow server` with a database and artifacts of its own, on loopback."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        words += ["--artifacts-destination", str(self.folder / "artifacts")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise AssertionError((self.folder / "server.log").read_text(encoding="utf-8")[-3000:])

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def end(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.db").write_bytes(empty_database.read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = Server(folder, port)
    one.start()
    yield one
    one.end()


def client(server: Server):
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{server.folder / 'server.db'}")


def arrived(server: Server, stage: str) -> tuple[int, list[tuple[int, float]]]:
    """How many runs the stage has, and every (step, loss) of the last."""
    one = client(server)
    runs = one.search_runs(["1"], f"tags.`tisslm.stage` = '{stage}'")
    values = [(m.step, m.value) for m in one.get_metric_history(runs[0].info.run_id, "loss")] if runs else []
    return len(runs), sorted(values)


@pytest.mark.feature("OPS-01")
@pytest.mark.parametrize("fault", ["stopped", "killed", "stopped from the start"])
def test_a_stage_never_waits_for_a_server_and_each_metric_arrives_once(
    workspace: Path, server: Server, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    longest = 0.0
    if fault == "stopped from the start":
        server.signal(signal.SIGSTOP)
    with open_journal(workspace, "pretrain", params(), SETTINGS) as journal:
        for step in range(300):
            if step == 150:  # the courier has begun to deliver by now
                time.sleep(15)
                server.signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
            started = time.monotonic()
            journal.metrics({"loss": 1.0 / (step + 1)}, step)
            longest = max(longest, time.monotonic() - started)
            if step > 150 and step % 50 == 0:
                time.sleep(4)
    assert longest < 2
    first = deliver(workspace, wait_s=20)
    assert not first.delivered
    assert first.waiting
    if fault == "killed":
        server.end()
        server.start()
    else:
        server.signal(signal.SIGCONT)
    report = deliver(workspace, wait_s=120)
    assert report.delivered, report
    assert arrived(server, "pretrain") == (1, [(step, 1.0 / (step + 1)) for step in range(300)])


@pytest.mark.feature("OPS-02")
def test_a_model_goes_to_a_server_and_comes_back_whole(
    workspace: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    pipeline = small_pipeline(workspace)
    assert pipeline.publish().headline.startswith("toy: new version 1, champion")
    model = resolve(workspace, "toy")
    verify_manifest(model.folder)
    weights = model.folder / "model.safetensors"
    weights.write_bytes(b"damaged")  # the copy on this machine: fetched again
    assert resolve(workspace, "toy").folder == model.folder
    verify_manifest(model.folder)
    assert "these bytes are already version 1" in pipeline.publish().headline
