"""Our own layout, for decoders that no published family computes: our names, our configuration as it is."""

from __future__ import annotations

from typing import Any

import torch

from model.architecture.config import ModelConfig
from model.architecture.interop.pieces import Piece
from model.architecture.interop.published_config import Published, build
from model.errors import ConfigError

MODEL_TYPE = "tisslm"


def to_published(config: ModelConfig) -> dict[str, Any]:
    """A `config.json` that our loader opens; `transformers` says that it does not know the model type."""
    return {
        "architectures": ["TissLMDecoder"],
        "model_type": MODEL_TYPE,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tie_embeddings,
        "tisslm": config.model_dump(mode="json"),
    }


def from_published(published: Published, where: str) -> ModelConfig:
    """Our configuration.

    Raises:
        ConfigError: It is missing or not valid.
    """
    values = published.get("tisslm")
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: has no section `tisslm`; save the model again")
    return build(values, where)


def pieces(config: ModelConfig) -> list[Piece]:
    """Every tensor by its own name."""
    from model.architecture.decoder import Decoder

    with torch.device("meta"):
        return [Piece(name, (name,)) for name, _ in Decoder(config).named_parameters()]
