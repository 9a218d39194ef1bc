"""Llama-family models from GGUF files (llama.cpp), as Hugging Face names and numbers.

llama.cpp rotates neighbouring features of a head in its `llama` architecture, so its files have the rows of queries and
keys in another order; they are put back here. Quantized weights become float32.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.interop.families import from_hugging_face
from model.architecture.interop.folder import SpecialIds, assembled, from_published_tensors, refuse_unknown, special_ids
from model.architecture.interop.gguf_blocks import unpacked
from model.architecture.interop.gguf_file import GgufFile, GgufTensor, read_gguf, with_bytes
from model.errors import CheckpointError, ConfigError

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""What llama.cpp calls them, and their `model_type`."""
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
INNER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip

LAYER = re.compile(r"0|[1-9][0-9]{0,3}")


def load_gguf(path: Path) -> tuple[Decoder, SpecialIds]:
    """A decoder in float32, and its special ids.

    Raises:
        CheckpointError: The file is missing, damaged, or its tensors do not fit its metadata.
        ConfigError: An architecture, or a key of it, that no part of ours computes.
    """
    file = read_gguf(path)
    config = gguf_config(file)
    arranged = {published_tensor_name(file, name): tensor for name, tensor in file.tensors.items()}
    tensors = with_bytes(path, lambda data: {n: _read(data, t, n, config, file) for n, t in arranged.items()})
    refuse_unknown(tensors, config, ARCHITECTURES[file.metadata["general.architecture"]], str(path))
    state = from_published_tensors(tensors, config, str(path))
    keys = {"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id", "pad_token_id": "padding_token_id"}
    ids = {ours: file.metadata.get(f"tokenizer.ggml.{theirs}") for ours, theirs in keys.items()}
    special = special_ids(ids, config.vocab_size or 0, str(path))
    return assembled(config, state, dtype=torch.float32, device="cpu"), special


def gguf_config(file: GgufFile) -> ModelConfig:
    """Our configuration from a file's metadata.

    Raises:
        ConfigError: An architecture or a key that no part of ours computes.
    """
    where, metadata = str(file.path), file.metadata
    kind = metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise ConfigError(
            f"{where}: architecture {kind!r} is not supported, expected one of {', '.join(ARCHITECTURES)}"
        )
    if "rope_freqs.weight" in file.tensors:
        raise ConfigError(
            f"{where}: has its own rotary frequencies (rope_freqs); import the Hugging Face files instead"
        )
    if metadata.get(f"{kind}.expert_count", 0):
        raise ConfigError(
            f"{where}: has experts, which GGUF import does not read; import the Hugging Face files instead"
        )
    names = {
        "num_hidden_layers": "block_count", "hidden_size": "embedding_length", "num_attention_heads":
        "attention.head_count", "num_key_value_heads": "attention.head_count_kv", "intermediate_size":
        "feed_forward_length", "max_position_embeddings": "context_length", "rms_norm_eps":
        "attention.layer_norm_rms_epsilon", "rope_theta": "rope.freq_base", "head_dim": "attention.key_length",
    }  # fmt: skip
    found = {ours: metadata.get(f"{kind}.{theirs}") for ours, theirs in names.items()}
    published: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise CheckpointError(f"{where}: tensor token_embd.weight is missing")
    published["vocab_size"] = embedding.shape[0]
    published["tie_word_embeddings"] = "output.weight" not in file.tensors
    scaling = metadata.get(f"{kind}.rope.scaling.type", "none")
    if scaling != "none":
        published["rope_parameters"] = {
            "rope_type": scaling, "factor": metadata.get(f"{kind}.rope.scaling.factor"),
            "original_max_position_embeddings": metadata.get(f"{kind}.rope.scaling.original_context_length"),
        }  # fmt: skip
    if isinstance(published.get("rms_norm_eps"), float):
        published["rms_norm_eps"] = float(np.format_float_positional(np.float32(published["rms_norm_eps"])))
    return from_hugging_face({"model_type": ARCHITECTURES[kind], **published}, where)


def published_tensor_name(file: GgufFile, name: str) -> str:
    """The Hugging Face name of a tensor.

    Raises:
        CheckpointError: It belongs to no part.
    """
    parts = name.split(".")
    if len(parts) == 2 and parts[0] in OUTER:
        return f"{OUTER[parts[0]]}.{parts[1]}"
    if len(parts) == 4 and parts[0] == "blk" and LAYER.fullmatch(parts[1]) and parts[2] in INNER:
        return f"model.layers.{int(parts[1])}.{INNER[parts[2]]}.{parts[3]}"
    raise CheckpointError(f"{file.path}: tensor {name} belongs to no part of a {file.metadata['general.architecture']}")


def _read(data: mmap.mmap, tensor: GgufTensor, name: str, config: ModelConfig, file: GgufFile) -> Tensor:
    raw = np.frombuffer(data[tensor.start : tensor.start + tensor.n_bytes], dtype=np.uint8)
    numbers = torch.from_numpy(np.array(unpacked(raw, tensor.kind, tensor.shape)))
    heads = {"q_proj": config.n_heads, "k_proj": config.n_kv_heads}.get(name.split(".")[-2])
    if heads is None or file.metadata["general.architecture"] != "llama":
        return numbers
    if numbers.shape[0] % (2 * heads):
        raise CheckpointError(
            f"{file.path}: {tensor.name} has {numbers.shape[0]} rows, not whole pairs of {heads} heads"
        )
    pairs = numbers.view(heads, numbers.shape[0] // heads // 2, 2, *numbers.shape[1:])
    return pairs.transpose(1, 2).reshape(numbers.shape)
