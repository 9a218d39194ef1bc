"""An int8 model as a folder: `config.json` with a `quantization` section, `model.safetensors` with int8 and scales.

Our own layout: the tensors have `Decoder`'s names, each matrix `NAME.weight` (int8) has its `NAME.scale` (float32).
The configuration says `model_type: tisslm-int8`, so that no other program takes the integers for weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from model.architecture.decoder import Decoder
from model.architecture.interop import from_hugging_face, to_hugging_face
from model.compression.int8 import aligned
from model.compression.quantize import assemble_int8
from model.errors import CheckpointError, ConfigError
from model.files import read_json, write_bytes, write_json

MODEL_TYPE = "tisslm-int8"
QUANTIZATION: dict[str, Any] = {"method": "int8", "bits": 8, "symmetric": True, "scales": "one for each output channel"}


def save_quantized(model: Decoder, folder: Path) -> None:
    """Write the folder of a decoder that `quantize_int8` made.

    Raises:
        CheckpointError: The model has no int8 weights.
        StorageError: The disk is full.
    """
    state = model.state_dict()
    if not any(tensor.dtype == torch.int8 for tensor in state.values()):
        raise CheckpointError(f"{folder}: the model has no int8 weights; call quantize_int8 first")
    tied = model.config.tie_embeddings
    tensors = {name: t.cpu().contiguous() for name, t in state.items() if not (tied and name.startswith("head."))}
    published = to_hugging_face(model.config) | {"model_type": MODEL_TYPE, "architectures": ["TissLMInt8Decoder"]}
    write_json(folder / "config.json", published | {"dtype": "int8", "quantization": QUANTIZATION})
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def load_quantized(folder: Path, *, device: str = "cpu") -> Decoder:
    """Open an int8 model folder, ready for inference; the weights stay int8 in memory.

    Raises:
        ConfigError: `config.json` is not one of an int8 model.
        CheckpointError: The weights are missing, damaged, or do not fit the configuration.
        IntegrityError: `config.json` is missing or damaged.
    """
    path, weights = folder / "config.json", folder / "model.safetensors"
    published = read_json(path)
    if published.get("model_type") != MODEL_TYPE or published.get("quantization") != QUANTIZATION:
        found = f"model_type {published.get('model_type')!r} with quantization {published.get('quantization')!r}"
        raise ConfigError(f"{path}: {found}, expected {MODEL_TYPE!r} with {QUANTIZATION}; quantize the model again")
    config = from_hugging_face(published | {"model_type": "llama"}, str(path))
    try:
        tensors = load_file(weights, device=device)
    except FileNotFoundError as error:
        raise CheckpointError(f"{weights}: no such file; run quantize again (tisslm run --from quantize)") from error
    except SafetensorError as error:
        raise CheckpointError(f"{weights}: damaged ({error}); restore it with `dvc checkout --force`") from error
    scales = {name.removesuffix(".scale") + ".weight": t for name, t in tensors.items() if name.endswith(".scale")}
    for name, scale in scales.items():
        weight = tensors.get(name)
        if weight is None or weight.dtype != torch.int8 or scale.shape != weight.shape[:1]:
            got = "nothing" if weight is None else f"{weight.dtype} {tuple(weight.shape)}, scales {tuple(scale.shape)}"
            raise CheckpointError(
                f"{weights}: {name} is {got}, expected int8 with a scale for each row; quantize again"
            )
    # a file packs its tensors without gaps, but the fast kernel reads aligned memory only
    matrices = {name: (aligned(tensors[name]), scale) for name, scale in scales.items()}
    vectors = {name: t for name, t in tensors.items() if name not in scales and t.dtype == torch.float32}
    return assemble_int8(config, matrices, vectors)
