"""What one generation request may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from model.configuration import StrictConfig, unit
from model.errors import GenerationError

StopString = Annotated[str, Field(min_length=1, max_length=1000)]


class GenerationConfig(StrictConfig):
    """How text is drawn from a model. Zero or one switches a filter off, as each field says."""

    max_new_tokens: int = Field(
        200, ge=1, le=65_536, description="the text ends after this many", json_schema_extra=unit("tokens")
    )
    temperature: float = Field(
        0.8, ge=0, le=100, description="divides the logits; 0 always takes the likeliest token (greedy)"
    )
    top_k: int = Field(
        0, ge=0, le=1_000_000, description="keep the k likeliest; 0 is off", json_schema_extra=unit("tokens")
    )
    top_p: float = Field(
        0.95,
        gt=0,
        le=1,
        description="keep the likeliest that together reach p (nucleus); 1 is off",
        json_schema_extra=unit("probability"),
    )
    top_a: float = Field(
        0.0, ge=0, le=1, description="drop tokens below a times the square of the largest probability; 0 is off"
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="drop tokens below this share of the largest probability; 0 is off"
    )
    typical_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="keep the tokens of most typical surprise that together reach p; 1 is off",
        json_schema_extra=unit("probability"),
    )
    exit_confidence: float = Field(
        1.0,
        ge=0,
        le=1,
        description="a model with early exits leaves out the layers after the first exit that is so sure; 1 is off",
        json_schema_extra=unit("probability"),
    )
    seed: int = Field(0, ge=0, lt=2**63, description="the same seed draws the same text")
    stop: tuple[StopString, ...] = Field(
        (), max_length=16, description="the text is cut before the first of these strings"
    )
    n_logprobs: int = Field(
        0,
        ge=0,
        le=100,
        description="likeliest tokens to report for each step; 0 reports the chosen one only",
        json_schema_extra=unit("tokens"),
    )

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> GenerationConfig:
        """A config from a request's values.

        Raises:
            GenerationError: A name or value is wrong; one line says which, what it was, and what is expected.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise GenerationError("; ".join(_explain(e) for e in error.errors()[:3])) from error


def _explain(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{name}: no such generation setting, expected one of {', '.join(GenerationConfig.model_fields)}"
    given = repr(error["input"])
    given = given if len(given) <= 80 else f"{given[:77]}..."
    return f"{name} = {given}: {error['msg'][0].lower()}{error['msg'][1:]}"
