"""The `tokenizer` section of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.configuration import StrictConfig, unit


class TokenizerConfig(StrictConfig):
    """How the vocabulary is made from the training split."""

    vocab_size: int = Field(
        2048,
        ge=260,
        le=1_000_000,
        description="ids in all: 4 special tokens, 256 bytes, the rest learned",
        json_schema_extra=unit("tokens"),
    )
    min_frequency: int = Field(
        2,
        ge=1,
        le=1_000_000,
        description="a pair that occurs less often is never merged",
        json_schema_extra=unit("occurrences"),
    )
    pattern: Literal["gpt2", "gpt4"] = Field(
        "gpt4", description="where words end, so that no token crosses: the rule of GPT-2 or of GPT-4"
    )
    chat_template: bool | None = Field(None, description="store the ChatML template: true or false; empty means true")
    max_training_characters: int | None = Field(
        None,
        ge=1,
        description="train on the first documents up to this much text; empty means all",
        json_schema_extra=unit("characters"),
    )
