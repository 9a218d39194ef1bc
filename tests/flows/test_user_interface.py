"""`tisslm ui`: both web pages on loopback, on whatever ports are free, ended together."""

from __future__ import annotations

import signal
import socket
import time
import urllib.request

import pytest
from toy_pipeline import ToyPipeline

from flows.servers import free_port, recorded_servers

pytestmark = pytest.mark.feature("PIPE-01")


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


@pytest.mark.slow
def test_both_pages_answer_a_second_ui_is_refused_and_ctrl_c_ends_both(toy: ToyPipeline) -> None:
    ui = toy.start("ui", "--mlflow-port", "0", "--prefect-port", "0")
    try:
        deadline = time.monotonic() + 240
        while not (servers := recorded_servers(toy.root)) and time.monotonic() < deadline:
            assert ui.poll() is None
            time.sleep(0.5)
        assert set(servers) == {"mlflow", "prefect"}
        for address in servers.values():
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"<html" in page.read()
        again = toy.command("ui")
        assert again.returncode == 15
        assert "its servers already run" in again.stderr
    finally:
        ui.send_signal(signal.SIGINT)
        output, _ = ui.communicate(timeout=120)
    assert ui.returncode == 0, output
    assert all(address in output for address in servers.values())
    assert recorded_servers(toy.root) == {}
    for address in servers.values():
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(address, timeout=5)
