"""Nothing but loopback: the whole pipeline in a network namespace that has nothing else, and no call that tries."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspaces import Workspace

# Python runs this at its start in every process below: it writes down whoever is spoken to beyond this machine.
WATCH = """
import ipaddress, os, socket, sys

OWN = {"", "localhost", socket.gethostname()}

def is_near(host):
    if host is None or host in OWN:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False

def watch(event, arguments):
    host = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
    if not is_near(host):
        with open(os.environ["WATCH_FILE"], "a") as file:
            file.write(f"{event} {host} {sys.argv}\\n")

sys.addaudithook(watch)
"""

# A fresh namespace has a loopback device that is down: put it up (SIOCSIFFLAGS, IFF_UP), then become the command.
INSIDE = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
    fcntl.ioctl(device, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def can_leave_the_network() -> bool:
    """Whether this machine lets a process enter a network namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", sys.executable, "-c", INSIDE, "true"], check=False).returncode == 0


@pytest.fixture
def watched(toy_workspace: Workspace, tmp_path: Path) -> tuple[Workspace, dict[str, str], Path]:
    """A workspace whose processes are watched, and the file that names whom they spoke to."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    seen = tmp_path / "seen.txt"
    before = toy_workspace.environment().get("PYTHONPATH", "")
    path = f"{tmp_path / 'watch'}:{before}".rstrip(":")
    return toy_workspace, {"PYTHONPATH": path, "WATCH_FILE": str(seen)}, seen


def test_the_watch_sees_a_foreign_address(watched: tuple[Workspace, dict[str, str], Path]) -> None:
    workspace, environment, seen = watched
    near = "import sys; sys.audit('socket.connect', None, ('127.0.0.1', 9))"
    workspace.run(sys.executable, "-c", near, **environment)
    assert not seen.exists()
    code = "import sys; sys.audit('socket.connect', None, ('203.0.113.1', 9))"  # RFC 5737: documentation only
    workspace.run(sys.executable, "-c", code, **environment)
    assert seen.read_text().startswith("socket.connect 203.0.113.1")


@pytest.mark.slow
@pytest.mark.feature("PIPE-01")
def test_the_whole_pipeline_speaks_to_nobody(watched: tuple[Workspace, dict[str, str], Path]) -> None:
    workspace, environment, seen = watched
    command = ["tisslm", "run"]
    if can_leave_the_network():
        command = ["unshare", "-rn", sys.executable, "-c", INSIDE, *command]
    done = workspace.run(*command, **environment)
    assert done.returncode == 0, done.stderr
    assert "champion" in done.stdout
    assert not seen.exists(), seen.read_text()
