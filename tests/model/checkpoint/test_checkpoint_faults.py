"""The manager in bad times: killed at any moment, flipped bits, cut files, a full disk."""

from __future__ import annotations

import builtins
import io
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint.manager import CheckpointManager
from model.errors import StorageError

IDENTITY = {"params": "abc"}
FAULT_POINTS = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir")
KINDS = ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"]


def save(manager: CheckpointManager, step: int, size: int = 64) -> Path:
    generator = torch.Generator().manual_seed(step)
    weights = torch.randn(size, generator=generator)
    return manager.save(step, {"model": {"w": weights}, "optimizer": {"w": weights * 2}}, {"tokens": step * 100})


def save_best(manager: CheckpointManager, step: int) -> Path:
    return manager.save_best(step, 1.0 / step, {"model": {"w": torch.full((8,), float(step))}}, {})


def litter(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if "tmp" in p.name]


def die_at(call: int) -> None:
    """From now on in this process: SIGKILL at the n-th system call that changes a file; a write is left half done."""
    calls = 0

    def count() -> bool:
        nonlocal calls
        calls += 1
        return calls == call

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **named: Any) -> Any:
            if count():
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **named)

        return function

    class DyingFile(io.FileIO):
        def write(self, data: Any) -> int:
            if count():
                super().write(bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(data)

    original_open = builtins.open

    def dying_open(path: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        return io.BufferedWriter(DyingFile(path, "w")) if mode == "wb" else original_open(path, mode, *args, **named)

    for name in FAULT_POINTS:
        setattr(os, name, dying(getattr(os, name)))
    builtins.open = dying_open  # type: ignore[assignment]


def killed(work: Callable[[], object], call: int) -> bool:
    """Do `work` in a child that dies at its n-th file-changing call; say whether it did."""
    child = os.fork()
    if child == 0:
        try:
            die_at(call)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.mark.feature("CKPT-01")
def test_kill_at_every_call_of_a_save_leaves_the_newest_whole_checkpoint(tmp_path: Path) -> None:
    call, seen = 0, set()
    while True:
        call += 1
        folder = tmp_path / str(call)
        first = CheckpointManager(folder, IDENTITY)
        for step in (10, 20):
            save(first, step)
        save_best(first, 20)
        if not killed(lambda first=first: save(first, 30), call):  # type: ignore[misc]
            break
        said: list[str] = []
        manager = CheckpointManager(folder, IDENTITY, say=said.append)
        assert litter(folder) == []
        found = manager.latest()
        assert found is not None
        seen.add(found.step)
        assert found.step == 20 or (folder / "step-00000030").exists()
        assert found.state["tokens"] == found.step * 100
        assert found.load("model")["w"].shape == (64,)
        best = manager.best()
        assert best is not None
        assert said == []
        save(manager, 30)
        assert sorted(p.name for p in folder.iterdir()) == ["best", "step-00000020", "step-00000030"]
    assert call > 20, "too few calls were seen: the fault injection missed them"
    assert seen == {20, 30}


@pytest.mark.feature("CKPT-01")
def test_kill_at_every_call_of_replacing_the_best_leaves_one_best(tmp_path: Path) -> None:
    call, seen = 0, set()
    while True:
        call += 1
        folder = tmp_path / str(call)
        first = CheckpointManager(folder, IDENTITY)
        save_best(first, 20)
        if not killed(lambda first=first: save_best(first, 30), call):  # type: ignore[misc]
            break
        said: list[str] = []
        best = CheckpointManager(folder, IDENTITY, say=said.append).best()
        assert best is not None
        assert best.load("model")["w"][0].item() == best.step
        assert litter(folder) == []
        assert said == []
        seen.add(best.step)
    assert call > 15
    assert seen == {20, 30}


@pytest.mark.feature("CKPT-01")
def test_kill_while_foreign_checkpoints_are_removed_never_brings_one_back(tmp_path: Path) -> None:
    call = 0
    while True:
        call += 1
        folder = tmp_path / str(call)
        first = CheckpointManager(folder, IDENTITY)
        for step in (10, 20):
            save(first, step)
        other = CheckpointManager(folder, {"params": "other"}, say=lambda _: None)
        if not killed(other.latest, call):
            break
        again = CheckpointManager(folder, {"params": "other"}, say=lambda _: None)
        assert again.latest() is None
        assert list(folder.iterdir()) == []
    assert call > 4


def damages(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Flipped bits at 20 offsets, and cuts."""
    for number in range(20):
        offset = number * (len(data) - 1) // 19
        yield (
            f"bit {number % 8} of byte {offset}",
            bytes(byte ^ (1 << number % 8) if index == offset else byte for index, byte in enumerate(data)),
        )
    last = len(data.rstrip(b"\n")) - 1  # a manifest without its last line end promises the same
    for length in (0, 1, len(data) // 2, last):
        yield f"cut to {length}", data[:length]
    yield "grown", data + b"\x00"


@pytest.mark.feature("CKPT-01")
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_told_in_one_line_and_the_one_before_is_used(tmp_path: Path, kind: str) -> None:
    said: list[str] = []
    manager = CheckpointManager(tmp_path, IDENTITY, say=said.append)
    save(manager, 10)
    path = save(manager, 20) / kind
    whole = path.read_bytes()
    for what, data in damages(whole):
        path.write_bytes(data)
        found = manager.latest()
        assert found is not None, what
        assert found.step == 10, what
        assert len(said) == 1, what
        assert said.pop().startswith("damaged checkpoint step-00000020: "), what
    path.write_bytes(whole)
    found = manager.latest()
    assert found is not None
    assert found.step == 20


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_the_best_is_found(tmp_path: Path, kind: str) -> None:
    said: list[str] = []
    manager = CheckpointManager(tmp_path, IDENTITY, say=said.append)
    save_best(manager, 20)
    shutil.copy(tmp_path / "best/model.safetensors", tmp_path / "best/optimizer.safetensors")  # an extra file
    assert manager.best() is None
    (tmp_path / "best/optimizer.safetensors").unlink()
    if kind == "optimizer.safetensors":
        assert manager.best() is not None
        return
    path = tmp_path / "best" / kind
    path.write_bytes(path.read_bytes()[:-3])
    assert manager.best() is None
    assert all("damaged checkpoint best" in line for line in said)


def test_none_whole_is_told_and_training_can_start_over(tmp_path: Path) -> None:
    said: list[str] = []
    manager = CheckpointManager(tmp_path, IDENTITY, say=said.append)
    for step in (10, 20):
        (save(manager, step) / "MANIFEST.json").unlink()
    assert manager.latest() is None
    assert len(said) == 3
    assert "none of 2 checkpoints is whole; starting from step 0" in said[-1]
    save(manager, 5)
    found = manager.latest()
    assert found is not None
    assert found.step == 5
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.feature("CKPT-01")
def test_full_disk_is_a_typed_error_and_earlier_checkpoints_load(tmp_path: Path) -> None:
    said: list[str] = []
    manager = CheckpointManager(tmp_path, IDENTITY, say=said.append)
    for step in (10, 20):
        save(manager, step, size=1000)
    for limit in (0, 100, 5000, 399_999):
        with file_size_limit(limit), pytest.raises(StorageError) as caught:
            save(manager, 30, size=100_000)
        message = str(caught.value)
        assert str(tmp_path / "step-00000030") in message
        assert "400,0" in message
        assert "bytes" in message
        assert "\n" not in message
        assert litter(tmp_path) == []
        found = manager.latest()
        assert found is not None
        assert (found.step, found.load("model")["w"].shape) == (20, (1000,))
    save(manager, 30, size=100_000)
    found = manager.latest()
    assert found is not None
    assert found.step == 30
    assert said == []


@pytest.mark.feature("CKPT-01")
def test_no_file_of_a_checkpoint_can_run_code(tmp_path: Path) -> None:
    """Every file is JSON or safetensors: no pickle opcode stream, no zip."""
    folder = save(CheckpointManager(tmp_path, IDENTITY), 10)
    for path in folder.iterdir():
        data = path.read_bytes()
        body = data if path.suffix == ".json" else data[8:]
        assert body.startswith(b"{"), path.name
        assert path.suffix in {".json", ".safetensors"}
