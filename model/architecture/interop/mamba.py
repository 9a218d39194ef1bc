"""`MambaForCausalLM`: blocks of one Mamba mixer each (arXiv:2312.00752)."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop.pieces import FILTERS, SAME, Piece
from model.architecture.interop.published_config import Published, build, layer_count, number, require_plain

MODEL_TYPE = "mamba"
TRAINED_CONTEXT = 2048
"""A Mamba file does not say how long its sequences were; the published ones were trained on these."""


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `MambaForCausalLM`; it ignores `context_length`."""
    options = config.recurrent
    return {
        "architectures": ["MambaForCausalLM"],
        "model_type": MODEL_TYPE,
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "state_size": options.state,
        "conv_kernel": options.convolution,
        "expand": options.expand,
        "intermediate_size": options.expand * config.d_model,
        "time_step_rank": options.step_rank or -(-config.d_model // 16),
        "use_bias": options.bias,
        "use_conv_bias": options.convolution_bias,
        "hidden_act": "silu",
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "context_length": config.context_length,
        "use_cache": True,
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    require_plain(published, {"hidden_act": "silu"}, where)
    width = number(published, "hidden_size", where)
    rank = published.get("time_step_rank", "auto")
    values = {
        "vocab_size": number(published, "vocab_size", where),
        "n_layers": layer_count(published, "num_hidden_layers", where),
        "d_model": width,
        "n_heads": 1,
        "n_kv_heads": 1,
        "context_length": published.get("context_length", TRAINED_CONTEXT),
        "norm_eps": published.get("layer_norm_epsilon", 1e-5),
        "tie_embeddings": published.get("tie_word_embeddings", True),
        "mixers": "M",
        "position": {"kind": "none"},
        "feedforward": {"kind": "none"},
        "recurrent": {
            "convolution": published.get("conv_kernel", 4),
            "state": published.get("state_size", 16),
            "expand": published.get("expand", 2),
            "step_rank": None if rank in {"auto", -(-width // 16)} else rank,
            "convolution_bias": published.get("use_conv_bias", True),
            "bias": published.get("use_bias", False),
        },
    }
    return build(values, where)


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor."""
    options = config.recurrent
    found = [
        Piece("embedding.weight", ("backbone.embeddings.weight",)),
        Piece("norm.weight", ("backbone.norm_f.weight",)),
    ]
    names = {
        "log_rates": "A_log", "skip": "D", "inner.weight": "in_proj.weight", "convolution.weight": "conv1d.weight",
        "select.weight": "x_proj.weight", "step.weight": "dt_proj.weight", "step.bias": "dt_proj.bias",
        "out.weight": "out_proj.weight",
    }  # fmt: skip
    if options.convolution_bias:
        names["convolution.bias"] = "conv1d.bias"
    if options.bias:
        names |= {"inner.bias": "in_proj.bias", "out.bias": "out_proj.bias"}
    for layer in range(config.n_layers):
        found.append(Piece(f"blocks.{layer}.attention_norm.weight", (f"backbone.layers.{layer}.norm.weight",)))
        for ours, theirs in names.items():
            way = FILTERS if theirs == "conv1d.weight" else SAME
            found.append(Piece(f"blocks.{layer}.attention.{ours}", (f"backbone.layers.{layer}.mixer.{theirs}",), way))
    return found if config.tie_embeddings else [*found, Piece("head.weight", ("lm_head.weight",))]
