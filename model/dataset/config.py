"""The `tokenize` section of `params.yaml`, and `pretrain.data`: what a batch is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from model.configuration import StrictConfig, unit
from model.tokenizer.config import SubwordRegularizationConfig

By = Literal["source", "language", "source_language"]
OTHERS = "*"


class TokenizeConfig(StrictConfig):
    """How token ids are laid out on disk."""

    shard_tokens: int = Field(
        100_000_000,
        ge=1024,
        le=10_000_000_000,
        description="tokens in one shard file; the last one holds the rest",
        json_schema_extra=unit("tokens"),
    )
    subword_regularization: SubwordRegularizationConfig | None = Field(
        None, description="add the training split again in random segmentations; empty means no"
    )


class AsIsMixture(StrictConfig):
    """Windows of the whole stream in one shuffled order: every group as often as it has tokens."""

    strategy: Literal["as_is"] = Field("as_is", description="all texts in one shuffled order")


class ProportionalMixture(StrictConfig):
    """Each group drawn exactly as often as its share of the tokens says, spread evenly over the run."""

    strategy: Literal["proportional"] = Field(description="each group by its share of the tokens")
    by: By = Field("language", description="what makes a group")


class WeightsMixture(StrictConfig):
    """Each group drawn by a given weight."""

    strategy: Literal["weights"] = Field(description="each group by its weight below")
    by: By = Field("source", description="what makes a group")
    weights: dict[str, float] = Field(
        min_length=1,
        description="weight of each group by name (source, language or source/language); '*' is that of each other one",
    )

    @field_validator("weights")
    @classmethod
    def _weights_are_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"the weight of {name!r} is {weight}, expected 0 or more")
        if not any(weights.values()):
            raise ValueError("all weights are 0, expected at least one above")
        return weights


class TemperatureMixture(StrictConfig):
    """Each group drawn by its share of the tokens to the power 1/T (Conneau et al. 2020, XLM-R, arXiv:1911.02116).

    XLM-R uses 1/T = 0.3, mT5 (Xue et al. 2021, arXiv:2010.11934) too; T = 1 is proportional, T -> infinity uniform.
    """

    strategy: Literal["temperature"] = Field(description="each group by its share of the tokens to the power 1/T")
    by: By = Field("language", description="what makes a group")
    temperature: float = Field(10 / 3, ge=1, le=1e6, description="T: 1 is proportional, more is more even")


class UnimaxMixture(StrictConfig):
    """Groups as even as a cap on repetition allows (Chung et al. 2023, UniMax, arXiv:2304.09151, algorithm 1)."""

    strategy: Literal["unimax"] = Field(description="even, but no group more often than max_epochs")
    by: By = Field("language", description="what makes a group")
    max_epochs: float = Field(
        4.0, gt=0, le=1e6, description="most times that a text is seen", json_schema_extra=unit("epochs")
    )


Mixture = Annotated[
    Annotated[AsIsMixture, Tag("as_is")]
    | Annotated[ProportionalMixture, Tag("proportional")]
    | Annotated[WeightsMixture, Tag("weights")]
    | Annotated[TemperatureMixture, Tag("temperature")]
    | Annotated[UnimaxMixture, Tag("unimax")],
    Discriminator("strategy"),
]


class PackingConfig(StrictConfig):
    """How documents become sequences of one length."""

    documents: Literal["joined", "best_fit"] = Field(
        "joined",
        description="joined: end to end, cut where a window ends; best_fit: whole documents packed into windows, "
        "only longer ones are cut, the rest is padding",
    )
    borders: Literal["ignore", "attention", "block"] = Field(
        "ignore",
        description="ignore: a window is one text; attention: no token sees another document and positions start "
        "anew, the end of a document is still learned; block: no loss across a border either",
    )


class LengthStage(StrictConfig):
    """A part of the run with its own sequence length."""

    until: float = Field(
        gt=0, le=1, description="share of the steps after which it ends", json_schema_extra=unit("fraction")
    )
    context_length: int = Field(
        ge=1, description="length of its sequences; divides model.context_length", json_schema_extra=unit("tokens")
    )


class DataConfig(StrictConfig):
    """What a batch is made of; the defaults take the whole stream in one shuffled order."""

    mixture: Mixture = Field(AsIsMixture(), description="how often each source or language is drawn")
    packing: PackingConfig = Field(PackingConfig(), description="how documents become sequences")
    order: Literal["shuffled", "short_first", "staged"] = Field(
        "shuffled",
        description="shuffled; short_first: each epoch begins with the shortest documents; staged: shuffled, and "
        "sequences grow by `stages`",
    )
    stages: tuple[LengthStage, ...] = Field(
        (), description="for staged: [{until: 0.3, context_length: 64}, ..., {until: 1, ...}]; tokens per step stay"
    )
    validation_by: Literal["none", "source", "language", "source_language"] = Field(
        "none",
        description="source, language, source_language: validate on as much of each and report each one's loss; "
        "none: on the first tokens of the split",
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> DataConfig:
        if self.order != "staged":
            if self.stages:
                raise ValueError(f"stages are given but order is {self.order}; set order: staged or remove them")
            return self
        untils = [stage.until for stage in self.stages]
        if not untils or untils[-1] != 1 or sorted(set(untils)) != untils:
            raise ValueError(f"order staged: stages end at {untils}, expected rising shares of the steps, the last 1")
        return self
