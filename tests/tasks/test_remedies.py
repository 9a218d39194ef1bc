"""Each remedy that a message or docs/how-to/errors.md names is run on a workspace that needs it, and heals it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from workspaces import Workspace

pytestmark = pytest.mark.slow


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def registered(root: Path) -> Path:
    (weights,) = (p for p in (root / "mlruns").rglob("model.safetensors") if p.parent.name != "quantized")
    return weights


def lose_the_registry(root: Path) -> None:
    (root / "mlflow.db").unlink()
    shutil.rmtree(root / "mlruns")


def flip_best_and_its_copy(root: Path) -> None:
    """Neither the workspace nor the cache has it whole: it can only be trained again."""
    import hashlib

    best = root / "data" / "checkpoints" / "best" / "model.safetensors"
    md5 = hashlib.md5(best.read_bytes(), usedforsecurity=False).hexdigest()
    flip(root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:])
    flip(best)


@dataclass(frozen=True)
class Case:
    """A damage, the command that meets it, what its message names, and how that is typed."""

    damage: Callable[[Path], object]
    meets: tuple[str, ...]
    names: str
    remedies: tuple[tuple[str, ...], ...]


REPAIR, RUN = ("verify", "--repair"), ("run",)
CASES = {
    "a model folder": Case(
        lambda root: flip(root / "data/pretrained/model.safetensors"),
        ("run", "--from", "quantize", "--force"), "run `tisslm verify --repair`, then `tisslm run`", (REPAIR, RUN),
    ),
    "figures that publish judges by": Case(
        lambda root: flip(root / "data/reports/evaluate.json"),
        ("run", "--from", "publish", "--force"), "run `tisslm verify --repair`, then `tisslm run`", (REPAIR, RUN),
    ),
    "a lost manifest": Case(
        lambda root: (root / "data/clean/MANIFEST.json").unlink(),
        ("verify",), "run `tisslm verify --repair`, then `tisslm run`", (REPAIR, RUN),
    ),
    "a folder that is gone": Case(
        lambda root: shutil.rmtree(root / "data/tokenizer"), ("verify",), "tisslm run", (RUN,)
    ),
    "the best weights, in the cache too": Case(
        flip_best_and_its_copy,
        ("run", "--from", "pretrain", "--force"), "run `tisslm verify --repair`, then `tisslm run`", (REPAIR, RUN),
    ),
    "the lock file": Case(
        lambda root: (root / "dvc.lock").write_text("stages: [", encoding="utf-8"),
        ("verify",), "run `tisslm verify --repair`, then `tisslm run`", (REPAIR, RUN),
    ),
    "a registered copy": Case(
        lambda root: flip(registered(root)),
        ("models", "show", "champion"), "tisslm run --from publish --force", (("run", "--from", "publish", "--force"),),
    ),
    "a registered copy that is gone": Case(
        lambda root: registered(root).unlink(),
        ("models", "show", "champion"), "tisslm run --from publish --force", (("run", "--from", "publish", "--force"),),
    ),
    "the registry": Case(
        lose_the_registry,
        ("models", "show", "champion"), "tisslm run --from publish --force", (("run", "--from", "publish", "--force"),),
    ),
    "a workspace without .dvc": Case(
        lambda root: (root / ".dvc").rename(root / "dvc-elsewhere"), ("run",), "run `tisslm init`", (("init",), RUN)
    ),
}  # fmt: skip


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_remedy_that_a_message_names_heals(own_finished_workspace: Workspace, case: Case) -> None:
    case.damage(own_finished_workspace.root)
    refused = own_finished_workspace.run("tisslm", *case.meets)
    assert refused.returncode not in (0, 70), refused.stdout
    assert case.names in refused.stderr
    assert "Traceback" not in refused.stderr
    for words in case.remedies:
        done = own_finished_workspace.run("tisslm", *words)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr)
    for words in dict.fromkeys([case.meets, ("verify",)]):
        done = own_finished_workspace.run("tisslm", *words)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr)
