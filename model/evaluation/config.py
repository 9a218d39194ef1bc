"""How a model is judged, the `evaluate` section of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from model.configuration import MisplacedBoolean, StrictConfig, unit

Baseline = Literal["xz", "ppmd6", "ppmd16"]


class EvaluateConfig(StrictConfig):
    """What is measured on the held-out texts, and beside what."""

    context_length: int | None = Field(
        None,
        ge=2,
        le=131072,
        description="window of the model when it is scored; empty: the length it was trained with",
        json_schema_extra=unit("tokens"),
    )
    stride: int | None = Field(
        None,
        ge=1,
        le=131072,
        description="tokens scored per window, so context_length - stride is the least context; empty: half the window",
        json_schema_extra=unit("tokens"),
    )
    batch_sequences: int = Field(
        8,
        ge=1,
        le=4096,
        description="windows scored together; never changes a result",
        json_schema_extra=unit("windows"),
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="score about this many tokens of each split, in whole documents spread evenly; empty: all",
        json_schema_extra=unit("tokens"),
    )
    baselines: tuple[Baseline, ...] = Field(
        ("xz", "ppmd6", "ppmd16"), description="compressors to stand beside: xz -9, PPMd of order 6 and 16"
    )
    baseline_max_bytes: int = Field(
        32 * 2**20,
        ge=1,
        le=2**30,
        description="most training text that the compressors are primed on; the report says when it bites",
        json_schema_extra=unit("bytes"),
    )
    sample_prompts: tuple[str, ...] = Field(
        (
            "Fellow citizens of the Senate and House of Representatives:",
            "The state of the Union is",
            "Our relations with foreign nations",
        ),
        max_length=100,
        description="texts that the model continues in the report",
    )
    sample_tokens: int = Field(
        96, ge=1, le=4096, description="length of every sample", json_schema_extra=unit("tokens")
    )
    sample_temperature: float = Field(0.8, ge=0, le=10, description="randomness of the samples; 0 takes the likeliest")
    sample_seed: int = Field(1, ge=0, lt=2**63, description="seed of the samples")
    speed_tokens: int = Field(
        48, ge=1, le=4096, description="tokens decoded in each timing", json_schema_extra=unit("tokens")
    )

    @field_validator("baselines", mode="before")
    @classmethod
    def _all_or_none(cls, value: object) -> object:
        """`true` means all baselines, `false` none."""
        if isinstance(value, MisplacedBoolean):  # here alone a boolean has a meaning where names belong
            value = value.value
        if isinstance(value, bool):
            return ("xz", "ppmd6", "ppmd16") if value else ()
        return value

    @field_validator("sample_prompts")
    @classmethod
    def _prompts_say_something(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not prompt.strip() for prompt in prompts):
            raise ValueError("a prompt is empty; give it a few words or leave it out")
        return prompts

    @model_validator(mode="after")
    def _stride_fits(self) -> EvaluateConfig:
        if self.context_length is not None and self.stride is not None and self.stride > self.context_length:
            raise ValueError(f"stride {self.stride} is larger than context_length {self.context_length}; lower it")
        return self

    def window(self, model_context: int) -> tuple[int, int]:
        """Window and stride, in tokens, for a model that was trained with `model_context` tokens."""
        context = self.context_length or model_context
        return context, min(self.stride or max(1, context // 2), context)
