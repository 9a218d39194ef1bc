"""`MistralForCausalLM`: Llama with a sliding window in all layers."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop import llama
from model.architecture.interop.published_config import Published, build, require_plain, spans, written_layer_types

MODEL_TYPE = "mistral"
MISSING = {
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "num_key_value_heads": 8, "sliding_window": 4096,
}  # fmt: skip
"""What a missing key means."""
pieces = llama.pieces


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `MistralForCausalLM`."""
    return {
        "architectures": ["MistralForCausalLM"],
        "model_type": MODEL_TYPE,
        **llama.decoder_keys(config),
        "hidden_act": "silu",
        "sliding_window": config.attention.window,
        **llama.constant_keys(),
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    require_plain(published, {"hidden_act": "silu"}, where)
    published = {**MISSING, **published}
    values = llama.decoder_values(published, where)
    window = published.get("sliding_window")
    # with them transformers opens the file as Ministral, which computes the same with a window in some layers
    kinds = written_layer_types(published, values["n_layers"], where)
    layers = kinds or (None if window is None else ["sliding_attention"])
    values["attention"] = spans(layers, window, values["context_length"], where)
    return build(values, where)
