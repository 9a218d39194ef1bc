"""`GPT2LMHeadModel`: LayerNorm, learned positions, GELU, biases everywhere (Radford et al. 2019)."""

from __future__ import annotations

from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.interop.pieces import SAME, TRANSPOSED, Piece
from model.architecture.interop.published_config import Published, build, layer_count, number, require_plain
from model.errors import ConfigError

MODEL_TYPE = "gpt2"
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
}


def to_published(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` that `transformers` opens as `GPT2LMHeadModel`."""
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": MODEL_TYPE,
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_ff,
        "activation_function": names.get(config.feedforward.kind, "gelu_new"),
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: A key that no part of ours computes.
    """
    plain = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
    require_plain(published, plain, where)
    activation = published.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        raise ConfigError(
            f"{where}: activation_function {activation!r} is not supported, expected one of {', '.join(ACTIVATIONS)}"
        )
    width, heads = number(published, "n_embd", where), number(published, "n_head", where)
    values = {
        "vocab_size": number(published, "vocab_size", where),
        "n_layers": layer_count(published, "n_layer", where),
        "d_model": width,
        "n_heads": heads,
        "n_kv_heads": heads,
        "d_ff": published.get("n_inner") or 4 * width,
        "context_length": number({"n_positions": published.get("n_ctx", 1024), **published}, "n_positions", where),
        "norm_eps": published.get("layer_norm_epsilon", 1e-5),
        "tie_embeddings": published.get("tie_word_embeddings", True),
        "norm": {"kind": "layer"},
        "position": {"kind": "learned"},
        "attention": {"bias": "all"},
        "feedforward": {"kind": ACTIVATIONS[activation], "bias": True},
    }
    return build(values, where)


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor; matrices inside the blocks are transposed."""
    found = [
        Piece("embedding.weight", ("transformer.wte.weight",)),
        Piece("added_positions.weight", ("transformer.wpe.weight",)),
    ]
    names = {
        "attention_norm": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
        "feedforward_norm": "ln_2", "feedforward.up": "mlp.c_fc", "feedforward.down": "mlp.c_proj",
    }  # fmt: skip
    for layer in range(config.n_layers):
        for ours, theirs in names.items():
            way = SAME if theirs.startswith("ln") else TRANSPOSED
            found.append(Piece(f"blocks.{layer}.{ours}.weight", (f"transformer.h.{layer}.{theirs}.weight",), way))
            found.append(Piece(f"blocks.{layer}.{ours}.bias", (f"transformer.h.{layer}.{theirs}.bias",)))
    found += [Piece(f"norm.{kind}", (f"transformer.ln_f.{kind}",)) for kind in ("weight", "bias")]
    return found if config.tie_embeddings else [*found, Piece("head.weight", ("lm_head.weight",))]
