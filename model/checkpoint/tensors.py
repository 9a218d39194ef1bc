"""Named tensors as safetensors bytes: the same tensors always give the same bytes, and loading runs no code.

Format: https://github.com/huggingface/safetensors#format. Tensors that are one and the same (tied weights) are stored
once; the other names stand in the file's metadata, under a single key because the order of several is not fixed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model.errors import CheckpointError
from model.files import canonical_json

TIED = "tied"


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file.

    Args:
        tensors: Tensors of any shape, device and dtype that safetensors knows, views and tied ones included.

    Raises:
        CheckpointError: A value is not a tensor, or its dtype has no place in safetensors.
    """
    stored: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    storages: set[int] = set()
    for name, tensor in sorted(tensors.items()):
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"tensor {name}: got {type(tensor).__name__}, expected a tensor; JSON goes to state")
        if tensor.layout != torch.strided or name == "__metadata__":
            raise CheckpointError(f"tensor {name}: {tensor.layout} by this name cannot be stored as safetensors")
        same = (tensor.data_ptr(), tensor.dtype, tensor.device, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and same in seen:
            tied[name] = seen[same]
            continue
        seen[same] = name
        dense = tensor.detach().cpu().contiguous()
        # safetensors refuses two tensors in one memory, even where they do not overlap
        storage = dense.untyped_storage().data_ptr()
        stored[name] = dense.clone() if storage in storages else dense
        storages.add(storage)
    try:
        data: bytes = save(stored, metadata={TIED: canonical_json(tied)} if tied else None)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        kinds = ", ".join(sorted({str(tensor.dtype) for tensor in stored.values()}))
        raise CheckpointError(f"tensors of {kinds} cannot be stored as safetensors: {_one_line(error)}") from error
    return data


def unpack(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; tied names share one tensor.

    Raises:
        CheckpointError: The file is missing or is not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            tied: dict[str, str] = json.loads((file.metadata() or {}).get(TIED, "{}"))
        tensors.update({name: tensors[stored] for name, stored in tied.items()})
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file: {_one_line(error)}") from error
    return tensors


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
