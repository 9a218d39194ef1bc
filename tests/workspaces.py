"""A toy workspace: this repository's pipeline in a folder of its own, on toy texts with toy sizes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.settings import TELEMETRY_OFF

REPOSITORY = Path(__file__).resolve().parent.parent
CODE = ("model", "tasks", "flows", "cli")

TOY_PARAMS: dict[str, Any] = {
    "ingest": {"sources": [{"path": "my-texts"}], "max_documents": None},
    "clean": {"validation_fraction": 0.1, "test_fraction": 0.1},
    "tokenizer": {"vocab_size": 512},
    "pretrain": {
        "model": {"n_layers": 2, "d_model": 32, "n_heads": 2, "n_kv_heads": 1, "d_ff": 64, "context_length": 64},
        "steps": 40,
        "batch_sequences": 8,
        "warmup_steps": 4,
        "validate_every_steps": 20,
        "validation_tokens": 2048,
        "log_every_steps": 5,
        "checkpoint_every_steps": 10,
    },
    "publish": {"name": "toy", "max_bits_per_byte": 8.0},
}


@dataclass(frozen=True)
class Workspace:
    """A folder that `tisslm` and `dvc` work in, and what a person sees there."""

    root: Path

    def environment(self, **more: str) -> dict[str, str]:
        """What a process here is started with: the tests' Python first, the databases in the workspace."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "DVC_", "GIT_"))},
            **TELEMETRY_OFF,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TISSLM_THREADS": "1",
            "TISSLM_WORKERS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "toy",
            "GIT_AUTHOR_EMAIL": "toy@localhost",
            "GIT_COMMITTER_NAME": "toy",
            "GIT_COMMITTER_EMAIL": "toy@localhost",
            **more,
        }

    def run(self, *words: str, timeout_s: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command here and wait for it; standard error is in `stderr`, the exit code in `returncode`."""
        return subprocess.run(
            words,
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command here in a process group of its own, its output in `output.txt`."""
        with open(self.root / "output.txt", "w", encoding="utf-8") as output:
            return subprocess.Popen(
                words,
                cwd=self.root,
                env=self.environment(**environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )

    def copy(self, destination: Path) -> Workspace:
        """A workspace of its own with everything that this one holds; its databases are its own too."""
        shutil.copytree(self.root, destination, symlinks=True)
        return Workspace(destination)

    def params(self) -> dict[str, Any]:
        """`params.yaml` as it is now."""
        values: dict[str, Any] = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8"))
        return values

    def set_params(self, changes: Mapping[str, Any]) -> None:
        """Write changed values into `params.yaml`, section by section."""
        text = yaml.safe_dump(merged(self.params(), changes), sort_keys=False, allow_unicode=True)
        (self.root / "params.yaml").write_text(text, encoding="utf-8")


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them, mapping by mapping; lists are replaced whole."""
    result = dict(values)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def make_workspace(root: Path, corpus: Path) -> Workspace:
    """A fresh clone of this repository with a toy corpus and toy sizes; nothing has run in it."""
    root.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".dvc").mkdir()
    (root / "data").mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy2(REPOSITORY / name, root / name)
    shutil.copy2(REPOSITORY / "data" / ".gitignore", root / "data" / ".gitignore")
    shutil.copytree(corpus, root / "my-texts")
    workspace = Workspace(root)
    smoke = yaml.safe_load((REPOSITORY / "flows" / "presets" / "smoke.yaml").read_text(encoding="utf-8"))
    workspace.set_params(merged(smoke, TOY_PARAMS))
    for words in (["git", "init", "-q"], ["git", "add", "-A"], ["git", "commit", "-q", "-m", "a toy workspace"]):
        done = workspace.run(*words)
        assert done.returncode == 0, done.stderr
    return workspace
