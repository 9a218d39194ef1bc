"""What a training run is: two runs with the same identity end with the same bytes, so one may go on from the other."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding
import numpy as np
import torch

import model as library
from model.files import canonical_json, content_digest, folder_digest, sha256_text
from model.kernels.library import kernels_used
from model.training.config import PretrainConfig

CODE_THAT_DECIDES = (
    "architecture", "checkpoint", "compiled.py", "dataset", "kernels", "randomness.py", "training",
    "../tasks/pretrain.py",
)  # fmt: skip
"""Packages and modules of `model/` whose code reaches the weights."""
ONLY_HOW = {"checkpoint_every_steps", "keep_checkpoints"}
"""Keys of the section that change no byte of the result."""


def run_identity(config: PretrainConfig, inputs: Mapping[str, Path], dtype: torch.dtype, device: str) -> dict[str, str]:
    """Everything that decides the weights: a checkpoint is used only by a run with the same identity.

    Args:
        config: The section.
        inputs: Finished folders by name.
        dtype: Of the matrix products.
        device: `cpu` or `cuda`.
    """
    folder = Path(library.__file__).parent
    return {
        "params": sha256_text(canonical_json(config.model_dump(mode="json", exclude=ONLY_HOW))),
        "code": code_digest(folder, CODE_THAT_DECIDES),
        **{name: folder_digest(path) for name, path in inputs.items()},
        "threads": str(torch.get_num_threads()),
        "kernels": "on" if kernels_used() else "off",
        "dtype": str(dtype),
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "numba": version("numba"),
        "llvmlite": version("llvmlite"),
        "numpy": np.__version__,
        "cpu": f"{llvmlite.binding.get_host_cpu_name()} {torch.backends.cpu.get_cpu_capability()}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def code_digest(folder: Path, names: Iterable[str]) -> str:
    """The digest of what Python files do: of their syntax trees, without comments, layout and docstrings.

    Args:
        folder: Names are relative to it.
        names: Files, and folders with all files in them.
    """
    paths = [p for name in names for p in ([folder / name] if name.endswith(".py") else (folder / name).rglob("*.py"))]
    return content_digest({os.path.relpath(path, folder): _meaning(path) for path in paths})


def _meaning(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # a docstring, also one below an assignment
            kept = [part for part in body if not (isinstance(part, ast.Expr) and _is_text(part.value))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return sha256_text(ast.dump(tree))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
