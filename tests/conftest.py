"""What all tests share: a toy corpus, a finished toy workspace, quiet libraries, one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from toy_texts import toy_text
from workspaces import Workspace, make_workspace

from tasks.settings import TELEMETRY_OFF

TOY_DOCUMENTS = 60

# Before any numeric library is imported. The settings of whoever runs the tests are not the tests'.
for _variable in [name for name in os.environ if name.startswith("TISSLM_")]:
    del os.environ[_variable]
os.environ.update(TELEMETRY_OFF)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile(
    "tisslm",
    max_examples=50,
    deadline=None,  # the machine may be busy
    derandomize=True,  # the same examples on every machine
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tisslm")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark that keeps tests on one worker known where pytest-xdist is switched off."""
    config.addinivalue_line("markers", "xdist_group(name): tests that share an expensive fixture run in one worker")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests, and all tests with one expensive fixture, in one worker: it is made once, not per worker."""
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        fixtures = getattr(item, "fixturenames", [])
        shared = next((name for name in fixtures if name.startswith(("finished_", "prefect_"))), None)
        item.add_marker(pytest.mark.xdist_group(shared or item.nodeid.split("::")[0]))


@pytest.fixture(scope="session")
def toy_texts() -> list[str]:
    """Sixty small distinct texts, about 130,000 characters together."""
    return [toy_text(index) for index in range(TOY_DOCUMENTS)]


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory: pytest.TempPathFactory, toy_texts: list[str]) -> Path:
    """The toy texts as a folder of .txt files. Do not write into it: all tests read it."""
    folder = tmp_path_factory.mktemp("toy-corpus")
    for index, text in enumerate(toy_texts):
        (folder / f"story-{index:03}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def toy_workspace(tmp_path: Path, toy_corpus: Path) -> Workspace:
    """A fresh toy workspace of the test's own, in which nothing has run yet."""
    return make_workspace(tmp_path / "workspace", toy_corpus)


@pytest.fixture(scope="session")
def finished_toy_workspace(tmp_path_factory: pytest.TempPathFactory, toy_corpus: Path) -> Workspace:
    """A toy workspace in which `tisslm run` has made a model. Only look at it; change a `copy` of it."""
    workspace = make_workspace(tmp_path_factory.mktemp("finished") / "workspace", toy_corpus)
    done = workspace.run("tisslm", "run")
    (workspace.root / ".tisslm").mkdir(exist_ok=True)
    (workspace.root / ".tisslm" / "first-run.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    assert done.returncode == 0, f"tisslm run failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return workspace


@pytest.fixture
def own_finished_workspace(tmp_path: Path, finished_toy_workspace: Workspace) -> Workspace:
    """A copy of the finished toy workspace that the test may change."""
    return finished_toy_workspace.copy(tmp_path / "finished")


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a piece of Python in a clean process, to see what it imports or prints."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
