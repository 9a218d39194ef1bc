"""What all flow tests share: one Prefect server for the whole session, and a toy pipeline of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_pipeline import ToyPipeline, make_toy_pipeline


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The address of a Prefect server that lives as long as the tests."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def toy(tmp_path: Path) -> ToyPipeline:
    """A workspace with toy stages in which nothing has run."""
    return make_toy_pipeline(tmp_path / "toy")
