"""The manager in good times: what is kept, what is found, whose it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.checkpoint.manager import CheckpointManager
from model.errors import CheckpointError, ConfigError
from model.files import sha256_file, verify_manifest

IDENTITY = {"params": "abc", "threads": "2"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RESERVED = {"step", "identity", "metric"}


def contents(step: int) -> dict[str, dict[str, Tensor]]:
    return {"model": {"w": torch.full((4, 4), float(step))}, "optimizer": {"w.exp_avg": torch.ones(4) * step}}


def save(manager: CheckpointManager, step: int) -> Path:
    return manager.save(step, contents(step), {"tokens": step * 100})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def manager(tmp_path: Path, said: list[str]) -> CheckpointManager:
    return CheckpointManager(tmp_path / "checkpoints", IDENTITY, say=said.append)


@pytest.mark.feature("CKPT-01")
def test_saved_checkpoint_is_found_with_everything_in_it(manager: CheckpointManager, said: list[str]) -> None:
    folder = save(manager, 120)
    assert folder.name == "step-00000120"
    assert names(folder) == ["MANIFEST.json", "model.safetensors", "optimizer.safetensors", "state.json"]
    verify_manifest(folder)
    found = manager.latest()
    assert found is not None
    assert (found.step, found.folder) == (120, folder)
    assert found.state == {"tokens": 12000, "step": 120, "identity": IDENTITY}
    for name, tensors in contents(120).items():
        assert {key: value.tolist() for key, value in found.load(name).items()} == {
            key: value.tolist() for key, value in tensors.items()
        }
    assert said == []


@pytest.mark.feature("CKPT-01")
@given(state=st.dictionaries(st.text(max_size=8).filter(lambda key: key not in RESERVED), JSON, max_size=4))
def test_any_json_state_comes_back(tmp_path: Path, state: dict[str, Any]) -> None:
    try:
        json.dumps(state, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    manager = CheckpointManager(tmp_path / "checkpoints", IDENTITY)
    manager.save(1, {}, state)
    found = manager.latest()
    assert found is not None
    assert {key: value for key, value in found.state.items() if key not in RESERVED} == state


@pytest.mark.feature("CKPT-01")
def test_random_state_survives_as_json_and_tensor(manager: CheckpointManager) -> None:
    generator = torch.Generator().manual_seed(3)
    manager.save(1, {"random": {"torch": generator.get_state()}}, {})
    expected = torch.rand(4, generator=generator)
    found = manager.latest()
    assert found is not None
    resumed = torch.Generator()
    resumed.set_state(found.load("random")["torch"])
    assert torch.equal(torch.rand(4, generator=resumed), expected)


def test_only_the_newest_generations_stay(manager: CheckpointManager) -> None:
    for step in (10, 20, 30, 40):
        save(manager, step)
    assert names(manager.folder) == ["step-00000030", "step-00000040"]


def test_steps_order_checkpoints_not_names_or_times(manager: CheckpointManager) -> None:
    save(manager, 99_999_999)
    save(manager, 100_000_000)
    found = manager.latest()
    assert found is not None
    assert found.step == 100_000_000


def test_resuming_earlier_drops_the_future_that_was_left(manager: CheckpointManager) -> None:
    for step in (10, 20, 30):
        save(manager, step)
    save(manager, 25)
    assert names(manager.folder) == ["step-00000020", "step-00000025"]


def test_the_same_step_may_be_saved_again(manager: CheckpointManager) -> None:
    save(manager, 10)
    manager.save(10, contents(10), {"tokens": 5})
    found = manager.latest()
    assert found is not None
    assert found.state["tokens"] == 5
    assert names(manager.folder) == ["step-00000010"]


@pytest.mark.feature("CKPT-01")
def test_equal_state_gives_equal_bytes(tmp_path: Path) -> None:
    folders = [save(CheckpointManager(tmp_path / name, IDENTITY), 7) for name in "ab"]
    left, right = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert left == right


def test_best_replaces_best_and_outlives_pruning(manager: CheckpointManager) -> None:
    manager.save_best(10, 2.5, contents(10), {})
    for step in (20, 30, 40):
        save(manager, step)
    manager.save_best(30, 1.5, contents(30), {})
    best = manager.best()
    assert best is not None
    assert (best.step, best.state["metric"], best.load("model")["w"][0, 0].item()) == (30, 1.5, 30.0)
    assert names(manager.folder) == ["best", "step-00000030", "step-00000040"]


def test_empty_folder_has_nothing_and_says_nothing(manager: CheckpointManager, said: list[str]) -> None:
    assert manager.latest() is None
    assert manager.best() is None
    assert said == []


def checksums(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.feature("CKPT-01")
def test_checkpoints_of_another_run_are_set_aside_whole_and_the_line_says_where(
    manager: CheckpointManager, said: list[str]
) -> None:
    save(manager, 10)
    manager.save_best(10, 1.0, contents(10), {})
    before = checksums(manager.folder)
    other = CheckpointManager(manager.folder, {"params": "abd", "torch": "2.13"}, say=said.append)
    assert other.latest() is None
    assert len(said) == 1
    assert "another run (params: abc there, abd now; threads: 2 there, nothing now; torch: nothing there" in said[0]
    place = next(Path(word.rstrip(";")) for word in said[0].split() if "set-aside" in word)
    assert checksums(place) == before
    assert names(manager.folder) == []


def test_a_run_takes_back_what_was_set_aside_for_it(manager: CheckpointManager, said: list[str]) -> None:
    save(manager, 10)
    manager.save_best(10, 1.0, contents(10), {})
    before = checksums(manager.folder)
    other = CheckpointManager(manager.folder, {"params": "abd"}, say=said.append)
    assert other.latest() is None
    save(other, 4)
    again = CheckpointManager(manager.folder, IDENTITY, say=said.append)
    found = again.latest()
    assert found is not None
    assert (found.step, checksums(manager.folder)) == (10, before)
    theirs = CheckpointManager(manager.folder, {"params": "abd"}, say=said.append).latest()
    assert theirs is not None
    assert theirs.step == 4


def test_a_best_model_of_another_run_is_set_aside(manager: CheckpointManager, said: list[str]) -> None:
    manager.save_best(10, 1.0, contents(10), {})
    other = CheckpointManager(manager.folder, {**IDENTITY, "params": "x" * 64}, say=said.append)
    assert other.best() is None
    assert "best" not in names(manager.folder)
    assert len(list(manager.folder.parent.glob("*/*/best/model.safetensors"))) == 1
    assert "another run (params: abc there, xxxxxxxxxxxxx... now) set aside in" in said[0]


def test_a_best_model_alone_of_another_run_is_not_overwritten(manager: CheckpointManager, said: list[str]) -> None:
    manager.save_best(10, 1.0, contents(10), {})
    other = CheckpointManager(manager.folder, {"params": "abd"}, say=said.append)
    assert other.latest() is None
    other.save_best(5, 2.0, contents(5), {})
    assert CheckpointManager(manager.folder, IDENTITY, say=said.append).latest() is None
    found = CheckpointManager(manager.folder, IDENTITY, say=said.append).best()
    assert found is not None
    assert found.state["metric"] == 1.0


def test_over_the_budget_the_oldest_set_aside_go_with_a_line_and_the_newest_stay(
    manager: CheckpointManager, said: list[str]
) -> None:
    for number in range(4):
        run = CheckpointManager(manager.folder, {"params": str(number)}, say=said.append, aside_bytes=2000)
        assert run.latest() is None
        save(run, 10)
    kept = names(manager.folder.with_name("checkpoints-set-aside"))
    removed = [line for line in said if "removed, the oldest" in line]
    assert len(kept) + len(removed) == 3
    assert removed
    assert kept[-1].startswith("0003-")


@pytest.mark.parametrize("cut_after", [0, 1, 2])
def test_setting_aside_cut_short_loses_nothing(
    manager: CheckpointManager, said: list[str], cut_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20):
        save(manager, step)
    manager.save_best(10, 1.0, contents(10), {})
    before = checksums(manager.folder)
    real, moved = os.rename, []

    def cut(source: Path, target: Path) -> None:
        if len(moved) == cut_after:
            raise KeyboardInterrupt
        moved.append(source)
        real(source, target)

    monkeypatch.setattr("model.checkpoint.set_aside.os.rename", cut)
    other = CheckpointManager(manager.folder, {"params": "abd"}, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        other.latest()
    monkeypatch.undo()
    other = CheckpointManager(manager.folder, {"params": "abd"}, say=said.append)
    assert (other.latest(), other.best()) == (None, None)
    again = CheckpointManager(manager.folder, IDENTITY, say=said.append).latest()
    assert again is not None
    assert checksums(manager.folder) == before


@pytest.mark.parametrize(
    ("tensors", "state", "message"),
    [
        ({}, {"loss": float("nan")}, "state.json: not JSON"),
        ({}, {"w": torch.ones(1)}, "state.json: not JSON"),
        ({}, {"text": "\ud800"}, "state.json: not JSON"),
        ({"../../etc": {}}, {}, "not a file name"),
        ({"state.json": {}}, {}, "not a file name"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    manager: CheckpointManager, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        manager.save(1, tensors, state)
    assert "\n" not in str(caught.value)
    assert names(manager.folder) == []


def test_unknown_tensors_name_is_refused_with_those_there_are(manager: CheckpointManager) -> None:
    save(manager, 1)
    found = manager.latest()
    assert found is not None
    with pytest.raises(CheckpointError, match="has no tensors 'ema'; it has model, optimizer"):
        found.load("ema")


def test_one_generation_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keep_last = 1: expected 2 or more"):
        CheckpointManager(tmp_path, IDENTITY, keep_last=1)
