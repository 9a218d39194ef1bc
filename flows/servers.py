"""The Prefect and MLflow servers of a workspace: started on loopback, found again, ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.processes import FOLDER, end_process, record_process
from model.errors import BusyError, IntegrityError, TrackingError
from model.files import read_json, write_json
from tasks.databases import ensure_database, revision
from tasks.process_identity import process_identity, still_runs
from tasks.settings import read_settings, workspace_environment
from tasks.tracking import connect, workspace_lock

LOOPBACK = "127.0.0.1"
UI_RECORD = ".tisslm/ui.json"
START_TIMEOUT_S = 180.0
PREFECT_PORT = 4200
PREFECT_HOLDS = ("flow_run", "deployment")
MLFLOW_PORT = 5000


@dataclass(frozen=True)
class Server:
    """A server that this process started."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path


def start_prefect(root: Path, port: int, ui: bool) -> Server:
    """Start a Prefect server on the workspace's database; `await_server` says when it answers."""
    ensure_prefect_database(root)
    command = ["-m", "flows.private_prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
    environment = {"PREFECT_UI_API_URL": f"http://{LOOPBACK}:{port}/api", "PREFECT_API_URL": ""}
    return _start(root, "prefect", port, [*command, "--ui" if ui else "--no-ui"], environment)


def start_mlflow(root: Path, port: int) -> Server:
    """Start MLflow's server and web page on the workspace's store."""
    store = workspace_environment(root)["MLFLOW_TRACKING_URI"]
    connect(root, read_settings())  # makes the database whole; the server would make it in place
    command = ["-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(root / "mlartifacts")]
    return _start(root, "mlflow", port, command, {})


def ensure_prefect_database(root: Path) -> None:
    """Have a whole Prefect database in the workspace, unless the user has chosen another place.

    Raises:
        TrackingError: Prefect could not make its tables; the message names its log.
    """
    environment = workspace_environment(root)
    if environment.get("PREFECT_API_DATABASE_CONNECTION_URL") or environment.get(
        "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    ):
        return
    path = Path(environment["PREFECT_HOME"]) / "prefect.db"
    log = root / ".tisslm" / "logs" / "prefect-database.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def upgrade(database: Path) -> int:
        url = {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}", "PREFECT_API_URL": ""}
        words = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        chosen = {key: value for key, value in (environment | url).items() if value != ""}
        with open(log, "wb") as output:
            return subprocess.run(
                words, cwd=root, env=chosen, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            ).returncode

    def make(new: Path) -> None:
        if code := upgrade(new):
            raise TrackingError(
                f"the prefect server's database could not be made (exit code {code}): {_last_line(log)} "
                f"(all of it: {log})"
            )

    with workspace_lock(root, "prefect"):
        ensure_database(path, make, PREFECT_HOLDS, lambda: bool(revision(path)) and upgrade(path) == 0)


def _start(root: Path, name: str, port: int, command: list[str], extra: dict[str, str]) -> Server:
    environment = workspace_environment(root) | extra
    environment = {key: value for key, value in environment.items() if value != ""}
    log = root / ".tisslm" / "logs" / f"{name}-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record_process(root / FOLDER, process.pid, f"{name} server")
    return Server(name, f"http://{LOOPBACK}:{port}", process, log)


def end_server(root: Path, server: Server) -> None:
    """End a server that this process started."""
    end_process(server.process)
    (root / FOLDER / f"{server.process.pid}.json").unlink(missing_ok=True)


def await_server(server: Server, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until a server answers.

    Raises:
        TrackingError: It ended, or did not answer in time; the message names its log.
    """
    deadline = time.monotonic() + timeout_s
    while not answers(server.address, server.name):
        if server.process.poll() is not None:
            raise TrackingError(
                f"the {server.name} server ended with exit code {server.process.returncode}: {_last_line(server.log)} "
                f"(all of it: {server.log})"
            )
        if time.monotonic() > deadline:
            raise TrackingError(f"the {server.name} server did not answer within {timeout_s:.0f} s; see {server.log}")
        time.sleep(0.1)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def answers(address: str, name: str, timeout_s: float = 5.0) -> bool:
    """Whether a Prefect or MLflow server at this address says that it is well."""
    url = f"{address}/api/health" if name == "prefect" else f"{address}/health"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310  (http addresses of servers)
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def free_port(preferred: int) -> int:
    """`preferred` if nobody listens there, else a free port."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise BusyError("no free port on the loopback interface; close some servers and run again")


def recorded_servers(root: Path) -> dict[str, str]:
    """Addresses of the servers that `tisslm ui` (or `deploy`) runs now in this workspace, by name; empty if none."""
    with contextlib.suppress(IntegrityError, KeyError, TypeError):
        record = read_json(root / UI_RECORD)
        if still_runs(record["owner"]):
            return {name: address for name, address in record["servers"].items() if answers(address, name)}
    return {}


@contextlib.contextmanager
def record_servers(root: Path, servers: list[Server]) -> Iterator[None]:
    """Let other commands find these servers while the block runs."""
    path = root / UI_RECORD
    addresses = {server.name: server.address for server in servers}
    write_json(path, {"owner": process_identity(), "servers": addresses})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def mlflow_address(root: Path, environment: Mapping[str, str]) -> str | None:
    """Where MLflow's web page is: the tracking server that is set, or the one that `tisslm ui` runs."""
    store = environment.get("MLFLOW_TRACKING_URI", "")
    if store.startswith(("http://", "https://")):
        return store
    return recorded_servers(root).get("mlflow")


def chosen_prefect_api(root: Path) -> str | None:
    """The Prefect API to use: `PREFECT_API_URL`, or the server of `tisslm ui`; None means start one for this run.

    Raises:
        TrackingError: `PREFECT_API_URL` does not answer.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if url:
        if not answers(url.rstrip("/").removesuffix("/api"), "prefect", timeout_s=30.0):
            raise TrackingError(
                f"PREFECT_API_URL={url}: no Prefect server answers there; start it, or unset the variable"
            )
        return url
    address = recorded_servers(root).get("prefect")
    return f"{address}/api" if address else None


def refuse_second_ui(root: Path) -> None:
    """Refuse to start servers twice in one workspace.

    Raises:
        BusyError: They already run; the message has their addresses.
    """
    running = recorded_servers(root)
    if running:
        where = ", ".join(f"{name} {address}" for name, address in running.items())
        raise BusyError(f"{root}: its servers already run ({where}); open those, or end them first")
