"""Which personal data is looked for, and what replaces it."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from model.configuration import StrictConfig

Kind = Literal[
    "secret", "url_credentials", "email", "iban", "card", "national_id", "phone", "ip", "name"
]  # also the order of priority where two findings of one length overlap
Action = Literal["redact", "mask", "hash"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STRUCTURED_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "name")


class NamesConfig(StrictConfig):
    """Which named-entity recogniser finds names of persons; it is installed apart (extra `names`)."""

    engine: Literal["spacy", "presidio"] = Field("spacy", description="library that runs the recogniser")
    model: str = Field(
        "en_core_web_sm", min_length=1, description="a spaCy pipeline: an installed package's name or a local folder"
    )


class ActionsConfig(StrictConfig):
    """What replaces one kind, where it differs from `action`."""

    secret: Action | None = Field(None, description="keys, tokens, passwords")
    url_credentials: Action | None = Field(None, description="URLs with user and password")
    email: Action | None = Field(None, description="e-mail addresses")
    iban: Action | None = Field(None, description="international bank account numbers")
    card: Action | None = Field(None, description="payment card numbers")
    national_id: Action | None = Field(None, description="social security, tax and identity numbers")
    phone: Action | None = Field(None, description="telephone numbers")
    ip: Action | None = Field(None, description="IPv4 and IPv6 addresses")
    name: Action | None = Field(None, description="names of persons")


class PiiConfig(StrictConfig):
    """Which personal data is replaced, and by what.

    `redact` writes the kind in brackets (`[EMAIL]`); `mask` keeps the shape and, of numbers, the last four digits;
    `hash` writes a keyed hash (HMAC-SHA256, key from the environment variable TISSLM_PII_KEY), so that the same
    value always becomes the same token.
    """

    kinds: tuple[Kind, ...] = Field(STRUCTURED_KINDS, min_length=1, description="what is looked for")
    action: Action = Field("redact", description="what replaces it")
    actions: ActionsConfig = Field(default_factory=ActionsConfig, description="exceptions from `action`, by kind")
    names: NamesConfig | None = Field(None, description="recogniser for the kind `name`; null finds no names")

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice")
        return kinds

    @model_validator(mode="after")
    def _names_agree(self) -> PiiConfig:
        if ("name" in self.kinds) != (self.names is not None):
            raise ValueError(
                "the kind `name` needs a recogniser: give both, like "
                "{kinds: [email, name], names: {engine: spacy, model: en_core_web_sm}}, or neither"
            )
        return self

    def action_for(self, kind: Kind) -> Action:
        """What replaces findings of one kind."""
        return getattr(self.actions, kind) or self.action
