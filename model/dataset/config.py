"""The `tokenize` section of `params.yaml`."""

from __future__ import annotations

from pydantic import Field

from model.configuration import StrictConfig, unit


class TokenizeConfig(StrictConfig):
    """How token ids are laid out on disk."""

    shard_tokens: int = Field(
        100_000_000,
        ge=1024,
        le=10_000_000_000,
        description="tokens in one shard file; the last one holds the rest",
        json_schema_extra=unit("tokens"),
    )
