"""`Qwen2ForCausalLM`: Llama with biases on queries, keys and values, and sliding windows in some layers."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop import llama
from model.architecture.interop.published_config import (
    Published,
    build,
    layer_types,
    require_plain,
    spans,
    written_layer_types,
)

MODEL_TYPE = "qwen2"
MISSING = {
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "num_key_value_heads": 32, "sliding_window": 4096,
}  # fmt: skip
"""What a missing key means."""
pieces = llama.pieces


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `Qwen2ForCausalLM`."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": MODEL_TYPE,
        **llama.decoder_keys(config),
        "hidden_act": "silu",
        **window_keys(config),
        **llama.constant_keys(),
    }


def window_keys(config: ModelConfig) -> dict[str, Any]:
    """Which layers slide, and how far they see."""
    return {
        "use_sliding_window": config.attention.window is not None,
        "sliding_window": config.attention.window,
        "layer_types": layer_types(config),
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    require_plain(published, {"hidden_act": "silu"}, where)
    published = {**MISSING, **published}
    values = llama.decoder_values(published, where)
    values["attention"] = {"bias": "qkv", **window_values(published, values, where)}
    return build(values, where)


def window_values(published: Published, values: dict[str, Any], where: str) -> dict[str, Any]:
    """Our pattern and window; older files name the first sliding layer in place of all layers' types."""
    if not published.get("use_sliding_window", False):
        return {}
    kinds = written_layer_types(published, values["n_layers"], where)
    if kinds is None:
        first = published.get("max_window_layers", 28)
        kinds = ["sliding_attention" if i >= first else "full_attention" for i in range(values["n_layers"])]
    return spans(kinds, published.get("sliding_window"), values["context_length"], where)
