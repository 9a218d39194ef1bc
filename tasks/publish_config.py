"""The `publish` section of `params.yaml`."""

from __future__ import annotations

from pydantic import Field

from model.configuration import StrictConfig, unit


class PublishConfig(StrictConfig):
    """Under which name a model is registered and which gates it must pass to become champion."""

    name: str = Field("tisslm", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="name in the model registry")
    max_bits_per_byte: float = Field(
        2.5, gt=0, le=16, description="worst test result that a champion may have", json_schema_extra=unit("bits/byte")
    )
    min_improvement_bpb: float = Field(
        0.0,
        ge=0,
        le=16,
        description="by how much a new model must beat the present champion on the same test set",
        json_schema_extra=unit("bits/byte"),
    )
    min_unseen_test_bytes: int = Field(
        4096,
        ge=1,
        description="least test text that neither model was trained on, for a comparison with the champion",
        json_schema_extra=unit("bytes"),
    )
    license: str = Field(
        "unknown",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,49}$",
        description="licence of the model (Hugging Face id) on its card",
    )
