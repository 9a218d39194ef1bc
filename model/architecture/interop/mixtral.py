"""`MixtralForCausalLM`: Llama with a mixture of experts in every layer (arXiv:2401.04088)."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.config.options import ExpertsConfig
from model.architecture.interop import llama
from model.architecture.interop.pieces import Piece, Stacked, StackedPairs
from model.architecture.interop.published_config import Published, build, number, require_plain, spans

MODEL_TYPE = "mixtral"
MISSING = {
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "num_key_value_heads": 8, "rope_theta": 1e6,
    "num_local_experts": 8, "num_experts_per_tok": 2,
}  # fmt: skip
"""What a missing key means."""


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `MixtralForCausalLM`."""
    experts = config.experts or ExpertsConfig()
    return {
        "architectures": ["MixtralForCausalLM"],
        "model_type": MODEL_TYPE,
        **llama.decoder_keys(config),
        "hidden_act": "silu",
        "num_local_experts": experts.n_experts,
        "num_experts_per_tok": experts.top_k,
        "router_aux_loss_coef": experts.load_balance_loss,
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
    values["experts"] = {
        "n_experts": number(published, "num_local_experts", where),
        "top_k": number(published, "num_experts_per_tok", where),
        "load_balance_loss": published.get("router_aux_loss_coef", 0.001),
    }
    window = published.get("sliding_window")
    layers = None if window is None else ["sliding_attention"]
    values["attention"] = spans(layers, window, values["context_length"], where)
    return build(values, where)


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor; the experts of a layer are one tensor here."""
    return [*llama.outer_pieces(config), *(p for i in range(config.n_layers) for p in _block(config, i))]


def _block(config: ModelConfig, layer: int) -> list[Piece]:
    ours, theirs = f"blocks.{layer}", f"model.layers.{layer}"
    experts = f"{theirs}.block_sparse_moe.experts"
    n = config.experts.n_experts if config.experts is not None else 0
    gate_up = tuple(f"{experts}.{i}.{name}.weight" for i in range(n) for name in ("w1", "w3"))
    down = tuple(f"{experts}.{i}.w2.weight" for i in range(n))
    return [
        Piece(f"{ours}.attention_norm.weight", (f"{theirs}.input_layernorm.weight",)),
        *llama.attention_pieces(config, layer),
        Piece(f"{ours}.feedforward_norm.weight", (f"{theirs}.post_attention_layernorm.weight",)),
        Piece(f"{ours}.feedforward.router.weight", (f"{theirs}.block_sparse_moe.gate.weight",)),
        Piece(f"{ours}.feedforward.up", gate_up, StackedPairs(n)),
        Piece(f"{ours}.feedforward.down", down, Stacked(n)),
    ]
