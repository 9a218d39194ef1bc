"""The `tokenizer` section of `params.yaml`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from model.configuration import StrictConfig, unit

Kind = Literal["bpe", "unigram", "wordpiece", "char", "byte"]
RuleName = Literal[
    "gpt2",
    "gpt4",
    "o200k",
    "whitespace",
    "digits",
    "digits_by_three",
    "code",
    "scientific",
    "latex",
    "biomedical",
    "abc",
]
Normalizer = Literal["nfc", "nfd", "nfkc", "nfkd", "lowercase", "strip_accents"]


class RegexRule(StrictConfig):
    """A rule of one's own."""

    regex: str = Field(
        min_length=1,
        max_length=4096,
        description="regular expression (Oniguruma): every match becomes a piece, the text between matches stays",
    )


class SubwordRegularizationConfig(StrictConfig):
    """Training text segmented in other ways than the usual one (never at inference)."""

    passes: int = Field(
        1,
        ge=1,
        le=100,
        description="how often the training split is added again, each time segmented anew",
        json_schema_extra=unit("passes"),
    )
    dropout: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="kind `bpe`: probability that a merge is left out where it is possible (Provilkov et al. 2020)",
    )
    alpha: float = Field(
        0.2,
        gt=0,
        le=10,
        description="kind `unigram`: exponent of the segmentations' probabilities, less means more even (Kudo 2018)",
    )
    seed: int = Field(0, ge=0, description="seed of the draws")


class TokenizerConfig(StrictConfig):
    """How the vocabulary is made from the training split."""

    from_model: str | None = Field(
        None,
        alias="from",
        min_length=1,
        description="take the tokenizer of a model that exists: its folder, or registry:VERSION; the rest of this "
        "section is then unused; empty: learn one",
    )
    kind: Kind = Field(
        "bpe",
        description="byte-level BPE, byte-level Unigram, byte-level WordPiece, characters (others as bytes) or bytes; "
        "all of them give any text back unchanged",
    )
    vocab_size: int = Field(
        2048,
        ge=260,
        le=1_000_000,
        description="ids in all: 4 special tokens, 256 bytes, the rest learned; `char` may have fewer, `byte` has 260",
        json_schema_extra=unit("tokens"),
    )
    min_frequency: int = Field(
        2,
        ge=1,
        le=1_000_000,
        description="a pair (kinds bpe, wordpiece), piece (unigram) or character (char) seen less often is no token",
        json_schema_extra=unit("occurrences"),
    )
    pre_tokenization: tuple[RuleName | RegexRule, ...] = Field(
        ("gpt4",),
        description="where words end, so that no token crosses: rules applied in turn, each cuts the pieces of the one "
        "before; empty means that only the kind itself decides (docs/how-to/tokenizer.md)",
    )
    normalization: tuple[Normalizer, ...] = Field(
        (),
        description="changes made to every text before; each loses something, so decoding gives the changed text back",
    )
    chat_template: bool | None = Field(None, description="store the ChatML template: true or false; empty means true")
    max_training_characters: int | None = Field(
        None,
        ge=1,
        description="train on the first documents up to this much text; empty means all",
        json_schema_extra=unit("characters"),
    )

    @model_validator(mode="before")
    @classmethod
    def _earlier_spelling(cls, values: Any) -> Any:
        """`pattern: gpt4` is how `pre_tokenization: [gpt4]` was spelled when there were only two rules."""
        if isinstance(values, dict) and "pattern" in values and "pre_tokenization" not in values:
            values = dict(values)
            values["pre_tokenization"] = (values.pop("pattern"),)
        return values

    @model_validator(mode="after")
    def _room_for_both_alphabets(self) -> TokenizerConfig:
        if self.kind == "wordpiece" and self.vocab_size < 516:
            raise ValueError(
                f"vocab_size = {self.vocab_size}: kind wordpiece has every byte at the beginning of a word and inside "
                "one, expected at least 516"
            )
        return self
