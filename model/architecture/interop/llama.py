"""`LlamaForCausalLM`: Llama 1 to 3; Mistral, Qwen, Gemma and Mixtral share its names and build on it."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop.pieces import PLUS_ONE, SAME, Conversion, Piece, Rows
from model.architecture.interop.published_config import (
    Published,
    build,
    head_dim,
    layer_count,
    number,
    published_rotary,
    require_plain,
    rotary,
)

MODEL_TYPE = "llama"
MISSING = {"max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
"""What a missing key means; files of the first years leave these out."""


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `LlamaForCausalLM`."""
    biased = config.attention.bias == "all"
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": MODEL_TYPE,
        **decoder_keys(config),
        "hidden_act": "silu",
        "attention_bias": biased,
        "mlp_bias": config.feedforward.bias,
        **constant_keys(),
    }


def decoder_keys(config: ModelConfig) -> dict[str, Any]:
    """What Llama and its relatives call alike."""
    return {
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
        "rope_parameters": published_rotary(config),
        "tie_word_embeddings": config.tie_embeddings,
    }


def constant_keys() -> dict[str, Any]:
    """What is the same for all that we write."""
    return {"attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": True}


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: It is not a plain Llama; the message names the key.
    """
    require_plain(published, {"hidden_act": "silu"}, where)
    values = decoder_values({**MISSING, **published}, where)
    values["attention"] = {"bias": "all" if published.get("attention_bias") else "none"}
    values["feedforward"] = {"bias": bool(published.get("mlp_bias", False))}
    return build(values, where)


def decoder_values(published: Published, where: str) -> dict[str, Any]:
    """Our values of what Llama and its relatives call alike."""
    width, heads = number(published, "hidden_size", where), number(published, "num_attention_heads", where)
    kv_heads = published.get("num_key_value_heads")
    theta, scaling = rotary(published, where)
    return {
        "vocab_size": number(published, "vocab_size", where),
        "n_layers": layer_count(published, "num_hidden_layers", where),
        "d_model": width,
        "n_heads": heads,
        "n_kv_heads": heads if kv_heads is None else kv_heads,
        "head_dim": head_dim(published, width, heads),
        "d_ff": number(published, "intermediate_size", where),
        "context_length": number(published, "max_position_embeddings", where),
        "rope_theta": theta,
        "norm_eps": number(published, "rms_norm_eps", where),
        "tie_embeddings": published.get("tie_word_embeddings", False),
        "position": {"scaling": scaling},
    }


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor."""
    return [*outer_pieces(config), *(p for i in range(config.n_layers) for p in block_pieces(config, i))]


def outer_pieces(config: ModelConfig, norm: Conversion = SAME) -> list[Piece]:
    """Embedding, last norm, head."""
    head = [] if config.tie_embeddings else [Piece("head.weight", ("lm_head.weight",))]
    return [
        Piece("embedding.weight", ("model.embed_tokens.weight",)),
        Piece("norm.weight", ("model.norm.weight",), norm),
        *head,
    ]


def block_pieces(config: ModelConfig, layer: int) -> list[Piece]:
    """One block of Llama, with the biases that the configuration has."""
    ours, theirs = f"blocks.{layer}", f"model.layers.{layer}"
    return [
        Piece(f"{ours}.attention_norm.weight", (f"{theirs}.input_layernorm.weight",)),
        *attention_pieces(config, layer),
        Piece(f"{ours}.feedforward_norm.weight", (f"{theirs}.post_attention_layernorm.weight",)),
        *feedforward_pieces(config, layer),
    ]


def attention_pieces(config: ModelConfig, layer: int) -> list[Piece]:
    """Queries, keys and values in one matrix here, in three there; biases and norms of heads where there are."""
    ours, theirs = f"blocks.{layer}.attention", f"model.layers.{layer}.self_attn"
    kv_size = config.n_kv_heads * config.head_size
    rows = Rows((config.n_heads * config.head_size, kv_size, kv_size))
    found = []
    for kind in ("weight", "bias"):
        if kind == "weight" or config.attention.bias != "none":
            found.append(Piece(f"{ours}.qkv.{kind}", tuple(f"{theirs}.{name}_proj.{kind}" for name in "qkv"), rows))
        if kind == "weight" or config.attention.bias == "all":
            found.append(Piece(f"{ours}.out.{kind}", (f"{theirs}.o_proj.{kind}",)))
    if config.norm.qk == "rms":
        found.append(Piece(f"{ours}.qk_norm.query.weight", (f"{theirs}.q_norm.weight",)))
        found.append(Piece(f"{ours}.qk_norm.key.weight", (f"{theirs}.k_norm.weight",)))
    return found


def feedforward_pieces(config: ModelConfig, layer: int) -> list[Piece]:
    """Gate and up in one matrix here, in two there."""
    ours, theirs = f"blocks.{layer}.feedforward", f"model.layers.{layer}.mlp"
    rows = Rows((config.d_ff, config.d_ff))
    found = []
    for kind in ("weight", "bias") if config.feedforward.bias else ("weight",):
        found.append(Piece(f"{ours}.gate_up.{kind}", (f"{theirs}.gate_proj.{kind}", f"{theirs}.up_proj.{kind}"), rows))
        found.append(Piece(f"{ours}.down.{kind}", (f"{theirs}.down_proj.{kind}",)))
    return found


def gemma_norm(layer: int, ours: str, theirs: str) -> Piece:
    """A norm whose weight is published less one."""
    return Piece(f"blocks.{layer}.{ours}.weight", (f"model.layers.{layer}.{theirs}.weight",), PLUS_ONE)
