"""`Qwen3ForCausalLM`: Llama with norms of each head's query and key."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop import llama, qwen2
from model.architecture.interop.published_config import Published, build, require_plain

MODEL_TYPE = "qwen3"
pieces = llama.pieces


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `Qwen3ForCausalLM`."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": MODEL_TYPE,
        **llama.decoder_keys(config),
        "hidden_act": "silu",
        "attention_bias": config.attention.bias == "all",
        **qwen2.window_keys(config),
        **llama.constant_keys(),
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    require_plain(published, {"hidden_act": "silu"}, where)
    published = {**qwen2.MISSING, "head_dim": 128, **published}
    values = llama.decoder_values(published, where)
    bias = "all" if published.get("attention_bias") else "none"
    values["attention"] = {"bias": bias, **qwen2.window_values(published, values, where)}
    values["norm"] = {"qk": "rms"}
    return build(values, where)
