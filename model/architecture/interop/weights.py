"""The tensors of a model folder: one safetensors file, or several with an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model.errors import CheckpointError
from model.files import read_json_mapping

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
NUMBERS = {torch.float32, torch.float16, torch.bfloat16, torch.float64}
"""Types of weights; another one is a packing that says nothing about what the weights are."""


def read_weights(folder: Path) -> tuple[dict[str, Tensor], str]:
    """All tensors by their published names, and the file to name in messages.

    Raises:
        CheckpointError: A file is missing or damaged, holds no floating-point numbers, or is not the index's.
        IntegrityError: The index is damaged.
    """
    if (folder / SINGLE).exists() or not (folder / INDEX).exists():
        return _read(folder / SINGLE), str(folder / SINGLE)
    tensors: dict[str, Tensor] = {}
    for name in _file_names(read_json_mapping(folder / INDEX).get("weight_map"), folder / INDEX):
        found = _read(folder / name)
        twice = sorted(found.keys() & tensors.keys())
        if twice:
            raise CheckpointError(f"{folder / name}: tensor {twice[0]} is in another file of the index too; restore it")
        tensors |= found
    return tensors, str(folder / INDEX)


def _file_names(places: Any, where: Path) -> list[str]:
    """The files that an index names, each once, all beside it."""
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{where}: has no weight_map of file names; restore it")
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name or name in {"", ".."} or "\0" in name:
            raise CheckpointError(f"{where}: names {name!r}, expected a file in the same folder")
    return names


def _read(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        pickled = sorted(other.name for other in path.parent.glob("*.bin"))
        advice = f"; {pickled[0]} is not opened, as it could run code: save it as safetensors" if pickled else ""
        raise CheckpointError(f"{path}: no such file{advice}")
    if not path.is_file():  # a pipe would be waited for, a device never ends
        raise CheckpointError(f"{path}: is no regular file, expected safetensors")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: damaged ({said}); restore it, or `tisslm verify --repair` under data/"
        ) from error
    for name, tensor in tensors.items():
        if tensor.dtype not in NUMBERS:
            raise CheckpointError(
                f"{path}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')}, expected float32, float16 or "
                "bfloat16; import the model before it was quantized"
            )
    return tensors
