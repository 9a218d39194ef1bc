"""How a model is made smaller, the `quantize` section of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.configuration import StrictConfig, unit


class QuantizeConfig(StrictConfig):
    """The kind of quantization, and how much quality it may cost."""

    method: Literal["int8"] = Field("int8", description="int8: weights only, symmetric, one scale per output channel")
    max_delta_bpb: float = Field(
        0.01,
        ge=0,
        le=10,
        description="gate: the most that bits per byte may rise over the float32 model",
        json_schema_extra=unit("bits per byte"),
    )
    max_eval_tokens: int | None = Field(
        100_000,
        ge=1,
        description="compare on about this many tokens of the test split, in whole documents spread evenly; empty: all",
        json_schema_extra=unit("tokens"),
    )
    batch_sequences: int = Field(
        8,
        ge=1,
        le=4096,
        description="windows scored together; never changes a result",
        json_schema_extra=unit("windows"),
    )
    speed_tokens: int = Field(
        48, ge=1, le=4096, description="tokens decoded in each timing", json_schema_extra=unit("tokens")
    )
