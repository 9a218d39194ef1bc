"""A stage's error arrives as it was meant, also where the disk was too full to write it down."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from flows.reproduce import stage_error
from model.errors import BusyError, StorageError

pytestmark = pytest.mark.feature("DX-06")
FAILED = "ERROR: failed to reproduce 'pretrain': failed to run: python -m tasks pretrain, exited with 11"


@pytest.mark.parametrize("torn", [None, "", '{"type": "Stor'])
def test_a_full_disk_that_took_no_error_file_is_told_with_its_path_and_code(tmp_path: Path, torn: str | None) -> None:
    error_file = tmp_path / "error.json"
    if torn is not None:
        error_file.write_text(torn)
    said = "tisslm: pretrain: the disk is full: data/checkpoints/model.safetensors: write failed"
    error = stage_error("pretrain", 255, deque([said, FAILED]), error_file)
    assert type(error) is StorageError
    assert str(error) == said.removeprefix("tisslm: ")


def test_a_disk_that_is_full_for_dvc_is_a_full_disk(tmp_path: Path) -> None:
    tail = deque(["ERROR: unexpected error - [Errno 28] No space left on device: '/cache/x'"])
    error = stage_error("clean", 255, tail, tmp_path / "none")
    assert type(error) is StorageError
    assert "/cache/x" in str(error)


def test_who_holds_the_lock_of_dvc_is_named(tmp_path: Path) -> None:
    tail = deque(["ERROR: '/w/a' is busy, it is being blocked by:", "  (PID 12): dvc repro", ""])
    error = stage_error("clean", 255, tail, tmp_path / "none")
    assert type(error) is BusyError
    assert ".dvc/tmp/rwlock is held by (PID 12): dvc repro" in str(error)
