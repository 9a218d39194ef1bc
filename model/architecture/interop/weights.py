"""The tensors of a model folder: one safetensors file, or several with an index."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model.errors import CheckpointError
from model.files import read_json

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_weights(folder: Path) -> tuple[dict[str, Tensor], str]:
    """All tensors by their published names, and the file to name in messages.

    Raises:
        CheckpointError: A file is missing or damaged, or the index names a place outside the folder.
        IntegrityError: The index is damaged.
    """
    if (folder / SINGLE).exists() or not (folder / INDEX).exists():
        return _read(folder / SINGLE), str(folder / SINGLE)
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{folder / INDEX}: has no weight_map of file names; restore it")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{folder / INDEX}: names {name!r}, expected a file in the same folder")
        tensors |= _read(folder / name)
    return tensors, str(folder / INDEX)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); restore it with `dvc checkout --force`") from error
    return tensors
