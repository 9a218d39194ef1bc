"""An int8 model as a folder: `config.json` with a `quantization` section, `model.safetensors` with int8 and scales.

Our own layout: the tensors have `Decoder`'s names, each matrix `NAME.weight` (int8) has its `NAME.scale` (float32).
The configuration is that of the float32 model, but says `model_type: tisslm-int8`, so that no other program takes the
integers for weights; `base_model_type` says whose layout the rest of it has.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from model.architecture.decoder import Decoder
from model.architecture.interop import SpecialIds, from_hugging_face, load_model, to_hugging_face
from model.architecture.interop.folder import OUR_IDS
from model.compression.quantize import assemble_int8
from model.errors import CheckpointError, ConfigError
from model.files import read_json, write_bytes, write_json

MODEL_TYPE = "tisslm-int8"
FIRST_BASE = "llama"  # folders of before `base_model_type` hold nothing else
QUANTIZATION: dict[str, Any] = {"method": "int8", "bits": 8, "symmetric": True, "scales": "one for each output channel"}


def save_quantized(model: Decoder, folder: Path, special: SpecialIds = OUR_IDS) -> None:
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
    published = to_hugging_face(model.config) | asdict(special)
    own = {"model_type": MODEL_TYPE, "base_model_type": published["model_type"], "architectures": ["TissLMInt8Decoder"]}
    write_json(folder / "config.json", published | own | {"dtype": "int8", "quantization": QUANTIZATION})
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def load_quantized(folder: Path, *, device: str = "cpu") -> Decoder:
    """Open an int8 model folder, ready for inference; the weights stay int8 in memory.

    Raises:
        ConfigError: `config.json` is not one of an int8 model, or names a network that this version does not know.
        CheckpointError: The weights are missing, damaged, or do not fit the configuration.
        IntegrityError: `config.json` is missing or damaged.
    """
    path, weights = folder / "config.json", folder / "model.safetensors"
    published = read_json(path)
    if published.get("model_type") != MODEL_TYPE or published.get("quantization") != QUANTIZATION:
        found = f"model_type {published.get('model_type')!r} with quantization {published.get('quantization')!r}"
        raise ConfigError(f"{path}: {found}, expected {MODEL_TYPE!r} with {QUANTIZATION}; quantize the model again")
    base = published.get("base_model_type", FIRST_BASE)
    config = from_hugging_face(published | {"model_type": base}, str(path))
    try:
        tensors = load_file(weights, device=device)
    except FileNotFoundError as error:
        raise CheckpointError(f"{weights}: no such file; run quantize again (tisslm run --from quantize)") from error
    except SafetensorError as error:
        raise CheckpointError(f"{weights}: damaged ({error}); run `tisslm verify --repair`") from error
    return assemble_int8(config, tensors)


def open_model(folder: Path, *, device: str = "cpu") -> Decoder:
    """Open a model folder of ours, float32 or int8, whichever it is.

    Raises:
        ConfigError, CheckpointError, IntegrityError: As `load_model` and `load_quantized`.
    """
    is_int8 = read_json(folder / "config.json").get("model_type") == MODEL_TYPE
    return (load_quantized if is_int8 else load_model)(folder, device=device)
