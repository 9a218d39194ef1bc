"""The published families, and which one a configuration is.

A family fits a configuration when its `config.json` says all of it: written and read again it is the same, apart from
what acts in training only and from what the configuration does not use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.config.options import (
    AttentionConfig,
    DepthConfig,
    InitializationConfig,
    NoScaling,
    RecurrentConfig,
)
from model.architecture.interop import gemma2, gpt2, llama, mamba, mistral, mixtral, own, qwen2, qwen3
from model.architecture.interop.published_keys import checked
from model.errors import ConfigError

PUBLISHED: dict[str, ModuleType] = {
    family.MODEL_TYPE: family for family in (llama, mistral, qwen2, qwen3, gemma2, mixtral, gpt2, mamba)
}
FAMILIES = {**PUBLISHED, own.MODEL_TYPE: own}
SPECIAL_IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}


def family_of(config: ModelConfig) -> ModuleType:
    """The published family that computes the same, or our own layout."""
    wanted = essential(config)
    for family in PUBLISHED.values():
        try:
            again = _read(family, family.to_published(config), "config.json")
        except (ConfigError, ArithmeticError):  # it has no place for one of the values
            continue
        if essential(again) == wanted:
            return family
    return own


def published_name(config: ModelConfig) -> str | None:
    """The class of `transformers` that opens the saved model, or None where only ours does."""
    family = family_of(config)
    return None if family is own else str(family.to_published(config)["architectures"][0])


def essential(config: ModelConfig) -> ModelConfig:
    """The configuration with everything at its default that changes nothing when a trained model is used."""
    update: dict[str, Any] = {"dropout": 0.0, "initialization": _essential_initialization(config)}
    update["embedding"] = config.embedding.model_copy(update={"noise": 0.0})
    update["head_dim"] = None if config.head_size * config.n_heads == config.d_model else config.head_dim
    if config.experts is not None:
        training_only = {"load_balance_loss": 0.0, "z_loss": 0.0, "capacity": None}
        update["experts"] = config.experts.model_copy(update=training_only)
    plain = DepthConfig()
    unused_depth = {"exit_loss": plain.exit_loss} | (
        {} if "R" in config.depth.pattern else {"capacity": plain.capacity}
    )
    update["depth"] = config.depth.model_copy(update=unused_depth)
    mixers = {config.mixer(layer) for layer in range(config.n_layers)}
    if "attention" in mixers:
        update["attention"] = _essential_attention(config)
    else:
        update |= {"n_heads": 1, "n_kv_heads": 1, "head_dim": None, "attention": AttentionConfig()}
        update["norm"] = config.norm.model_copy(update={"qk": "none"})
        if config.position.kind in {"rope", "alibi"}:
            update["position"] = config.position.model_copy(
                update={"kind": "none", "pattern": "P", "scaling": NoScaling()}
            )
    if mixers <= {"attention", "attention_free"}:
        update["recurrent"] = RecurrentConfig()
    if config.position.kind != "rope" or "attention" not in mixers:
        update["rope_theta"] = 10000.0
    unused: dict[str, Any] = {"sparsity_loss": 0.0}
    if config.feedforward.kind == "none":
        update["d_ff"], unused["bias"] = 8, False
    if config.feedforward.kind != "depthwise":
        unused["width"] = 3
    update["feedforward"] = config.feedforward.model_copy(update=unused)
    return config.model_copy(update=update)


def _essential_initialization(config: ModelConfig) -> InitializationConfig:
    """The base sizes of muP stay in the trained network: they scale its queries and its logits."""
    start = config.initialization
    if start.kind != "mup" or (start.base.d_model, start.base.head_size) == (config.d_model, config.head_size):
        return InitializationConfig()
    return InitializationConfig(kind="mup", base=start.base)


def _essential_attention(config: ModelConfig) -> AttentionConfig:
    plain, pattern = AttentionConfig(), config.attention.pattern
    unused = {
        name: getattr(plain, name)
        for letter, names in {"D": ("dilation",), "K": ("sinks",), "B": ("block", "block_summary")}.items()
        if letter not in pattern
        for name in names
    }
    return config.attention.model_copy(update=unused)


def to_hugging_face(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` of a configuration: of its published family, or of our own layout."""
    return {**family_of(config).to_published(config), **SPECIAL_IDS, "dtype": "float32"}


def from_hugging_face(published: Mapping[str, Any], where: str = "config.json") -> ModelConfig:
    """Our configuration from a published `config.json`.

    Raises:
        ConfigError: An unknown family, or a key that no part of ours computes; the message names it.
    """
    kind = published.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        known = ", ".join(map(repr, FAMILIES))
        raise ConfigError(f"{where}: model_type {kind!r}, expected {known}")
    if published.get("quantization_config"):
        raise ConfigError(
            f"{where}: quantization_config: packed weights are not read; import the model that they were made from, or "
            "its GGUF file"
        )
    if kind in PUBLISHED:
        published = checked(published, kind, where)
    return _read(FAMILIES[kind], published, where)


def _read(family: ModuleType, published: Mapping[str, Any], where: str) -> ModelConfig:
    try:
        config: ModelConfig = family.from_published(published, where)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:  # a key of a type that nobody writes
        raise ConfigError(f"{where}: not a valid {family.MODEL_TYPE}: {' '.join(str(error).split())}") from error
    return config
