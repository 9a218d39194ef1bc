"""`Gemma2ForCausalLM`: norms on both sides, soft-capped scores and logits, scaled embeddings (arXiv:2408.00118)."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop import llama
from model.architecture.interop.pieces import PLUS_ONE, Piece
from model.architecture.interop.published_config import (
    Published,
    build,
    layer_types,
    number,
    require_plain,
    spans,
    written_layer_types,
)

MODEL_TYPE = "gemma2"
MISSING = {
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "num_key_value_heads": 4, "head_dim": 256,
    "tie_word_embeddings": True, "query_pre_attn_scalar": 256,
}  # fmt: skip
"""What a missing key means."""


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `Gemma2ForCausalLM`."""
    scale = config.attention.scale
    return {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": MODEL_TYPE,
        **llama.decoder_keys(config),
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": config.attention.bias == "all",
        "attn_logit_softcapping": config.attention.softcap,
        "final_logit_softcapping": config.logit_softcap,
        "query_pre_attn_scalar": config.head_size if scale is None else round(scale**-2),
        # transformers makes a mask for sliding layers even where there are none
        "sliding_window": config.attention.window or config.context_length,
        "layer_types": layer_types(config),
        **llama.constant_keys(),
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    require_plain(published, {"hidden_activation": "gelu_pytorch_tanh"}, where)
    published = {**MISSING, **published}
    values = llama.decoder_values(published, where)
    scalar = number(published, "query_pre_attn_scalar", where)
    size = values["head_dim"] or values["d_model"] // values["n_heads"]
    kinds = written_layer_types(published, values["n_layers"], where) or [
        "full_attention" if i % 2 else "sliding_attention" for i in range(values["n_layers"])
    ]
    values["norm"] = {"placement": "sandwich"}
    values["feedforward"] = {"kind": "geglu_tanh"}
    values["embedding"] = {"scale": "sqrt_width"}
    values["logit_softcap"] = published.get("final_logit_softcapping", 30.0)
    values["attention"] = {
        "bias": "all" if published.get("attention_bias") else "none",
        "softcap": published.get("attn_logit_softcapping", 50.0),
        "scale": None if scalar == size else scalar**-0.5,
        **spans(kinds, published.get("sliding_window", 4096), values["context_length"], where),
    }
    return build(values, where)


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor; norms are published less one."""
    return [*llama.outer_pieces(config, PLUS_ONE), *(p for i in range(config.n_layers) for p in _block(config, i))]


def _block(config: ModelConfig, layer: int) -> list[Piece]:
    norms = {
        "attention_norm": "input_layernorm",
        "attention_out_norm": "post_attention_layernorm",
        "feedforward_norm": "pre_feedforward_layernorm",
        "feedforward_out_norm": "post_feedforward_layernorm",
    }
    return [
        *(llama.gemma_norm(layer, ours, theirs) for ours, theirs in norms.items()),
        *llama.attention_pieces(config, layer),
        *llama.feedforward_pieces(config, layer),
    ]
