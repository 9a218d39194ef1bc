"""To and from the published Hugging Face layout (`LlamaForCausalLM`): same numbers, published names.

Our fused matrices are split on the way out and joined on the way in, so logits are equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.errors import CheckpointError, ConfigError
from model.files import read_json, write_bytes, write_json

END_OF_TEXT_ID, PAD_ID = 0, 1


def to_hugging_face(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_size,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
        "pad_token_id": PAD_ID,
        "dtype": "float32",
    }


def from_hugging_face(published: Mapping[str, Any], where: str = "config.json") -> ModelConfig:
    """Our shape from a published `config.json`.

    Raises:
        ConfigError: It is not a plain Llama; the message names the key.
    """
    if published.get("model_type") != "llama":
        raise ConfigError(f"{where}: model_type {published.get('model_type')!r}, expected 'llama'")
    for key, plain in {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}.items():
        if published.get(key, plain) != plain:
            raise ConfigError(f"{where}: {key} = {published[key]!r} is not supported, expected {plain!r}")
    rope = published.get("rope_parameters") or published.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise ConfigError(f"{where}: rope_type {rope['rope_type']!r} is not supported, expected 'default'")
    try:
        return ModelConfig(
            vocab_size=published["vocab_size"],
            n_layers=published["num_hidden_layers"],
            d_model=published["hidden_size"],
            n_heads=published["num_attention_heads"],
            n_kv_heads=published.get("num_key_value_heads", published["num_attention_heads"]),
            d_ff=published["intermediate_size"],
            context_length=published["max_position_embeddings"],
            rope_theta=rope.get("rope_theta", published.get("rope_theta", 10000.0)),
            norm_eps=published["rms_norm_eps"],
            tie_embeddings=published.get("tie_word_embeddings", False),
        )
    except KeyError as error:
        raise ConfigError(f"{where}: has no {error.args[0]}") from error
    except ValueError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


def to_published_tensors(model: Decoder) -> dict[str, Tensor]:
    """The weights by their published names, contiguous, on the CPU; a tied head is left out."""
    config = model.config
    kv_size = config.n_kv_heads * config.head_size
    tensors = {"model.embed_tokens.weight": model.embedding.weight, "model.norm.weight": model.norm.weight}
    if not config.tie_embeddings:
        tensors["lm_head.weight"] = model.head.weight
    for index, block in enumerate(model.blocks):
        weights = dict(block.named_parameters())
        q, k, v = weights["attention.qkv.weight"].split([config.d_model, kv_size, kv_size])
        gate, up = weights["feedforward.gate_up.weight"].chunk(2)
        prefix = f"model.layers.{index}"
        tensors |= {
            f"{prefix}.input_layernorm.weight": weights["attention_norm.weight"],
            f"{prefix}.self_attn.q_proj.weight": q,
            f"{prefix}.self_attn.k_proj.weight": k,
            f"{prefix}.self_attn.v_proj.weight": v,
            f"{prefix}.self_attn.o_proj.weight": weights["attention.out.weight"],
            f"{prefix}.post_attention_layernorm.weight": weights["feedforward_norm.weight"],
            f"{prefix}.mlp.gate_proj.weight": gate,
            f"{prefix}.mlp.up_proj.weight": up,
            f"{prefix}.mlp.down_proj.weight": weights["feedforward.down.weight"],
        }
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def from_published_tensors(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dictionary from published names.

    Raises:
        CheckpointError: A tensor is missing; the message names it.
    """
    try:
        state = {"embedding.weight": tensors["model.embed_tokens.weight"], "norm.weight": tensors["model.norm.weight"]}
        state["head.weight"] = state["embedding.weight"] if config.tie_embeddings else tensors["lm_head.weight"]
        for index in range(config.n_layers):
            old, new = f"model.layers.{index}", f"blocks.{index}"
            qkv = [tensors[f"{old}.self_attn.{name}_proj.weight"] for name in "qkv"]
            gate_up = [tensors[f"{old}.mlp.{name}_proj.weight"] for name in ("gate", "up")]
            state |= {
                f"{new}.attention_norm.weight": tensors[f"{old}.input_layernorm.weight"],
                f"{new}.attention.qkv.weight": torch.cat(qkv),
                f"{new}.attention.out.weight": tensors[f"{old}.self_attn.o_proj.weight"],
                f"{new}.feedforward_norm.weight": tensors[f"{old}.post_attention_layernorm.weight"],
                f"{new}.feedforward.gate_up.weight": torch.cat(gate_up),
                f"{new}.feedforward.down.weight": tensors[f"{old}.mlp.down_proj.weight"],
            }
    except KeyError as error:
        raise CheckpointError(
            f"model.safetensors: tensor {error.args[0]} is missing for {config.n_layers} layers"
        ) from error
    return state


def save_model(model: Decoder, folder: Path) -> None:
    """Write `config.json`, `generation_config.json` and `model.safetensors` (float32)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", to_hugging_face(model.config))
    generation = {"bos_token_id": END_OF_TEXT_ID, "eos_token_id": END_OF_TEXT_ID, "pad_token_id": PAD_ID}
    write_json(folder / "generation_config.json", generation)
    tensors = {name: tensor.float() for name, tensor in to_published_tensors(model).items()}
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def load_model(folder: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Decoder:
    """Open a model folder, ready for inference (`eval` mode).

    Raises:
        ConfigError: The configuration is not a plain Llama.
        CheckpointError: The weights are missing, damaged, or of other shapes than the configuration says.
        IntegrityError: `config.json` is missing or damaged.
    """
    config = from_hugging_face(read_json(folder / "config.json"), str(folder / "config.json"))
    weights = folder / "model.safetensors"
    try:
        tensors = load_file(weights)
    except FileNotFoundError as error:
        raise CheckpointError(f"{weights}: no such file") from error
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{weights}: damaged ({error}); restore it with `dvc checkout --force`") from error
    with torch.device("meta"):
        model = Decoder(config)
    state = {name: t.to(device=device, dtype=dtype) for name, t in from_published_tensors(tensors, config).items()}
    for name, expected in model.state_dict().items():
        if state[name].shape != expected.shape:
            raise CheckpointError(
                f"{weights}: {name} has shape {tuple(state[name].shape)}, expected {tuple(expected.shape)}"
            )
    model.load_state_dict(state, assign=True)
    if config.tie_embeddings:
        model.head.weight = model.embedding.weight
    return model.eval()
