"""The `clean` section of `params.yaml`: what is kept of the texts; `sources.py` has the section `ingest`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model.configuration import StrictConfig, unit
from model.corpus.augmentation.config import AugmentationConfig
from model.corpus.boilerplate import BoilerplateConfig
from model.corpus.contamination.config import ContaminationConfig
from model.corpus.filters.config import FilterConfig
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.pii.config import PiiConfig
from model.corpus.sources import PathSource, Source


class NormalizeConfig(StrictConfig):
    """Which repairs a text gets; each can be switched off. The original files are never changed."""

    fix_mojibake: bool = Field(True, description="repair text decoded with the wrong encoding, by ftfy")
    unicode_form: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normal form")
    control_characters: bool = Field(True, description="remove control characters that are not white space")
    white_space: bool = Field(True, description="line ends to \\n, no spaces before them, at most two blank lines")
    lowercase: bool = Field(False, description="everything in lower case")
    correct_misspellings: bool = Field(
        False, description="correct misspelled English words where there is no doubt, by SymSpell's dictionary"
    )


class CleanConfig(StrictConfig):
    """What is repaired, what is dropped, and how documents are split."""

    normalize: NormalizeConfig = Field(default_factory=NormalizeConfig, description="repairs, in this order")
    boilerplate: BoilerplateConfig | None = Field(
        None, description="take menus, notices and lines that a source repeats out of texts; null leaves them"
    )
    min_characters: int = Field(
        200, ge=0, description="shorter documents are dropped", json_schema_extra=unit("characters")
    )
    max_characters: int | None = Field(
        None, ge=1, description="longer documents are dropped; null keeps all", json_schema_extra=unit("characters")
    )
    filters: tuple[FilterConfig, ...] = Field(
        (), description="quality filters, in this order, like [{filter: gopher_quality}, {filter: c4}]"
    )
    pii: PiiConfig | None = Field(
        None, description="personal data: which kinds, and what replaces them; null leaves it"
    )
    deduplicate: Literal["near", "exact", "none"] = Field(
        "exact", description="exact drops a text that was there before; near also one that is nearly the same"
    )
    near_duplicates: NearDuplicatesConfig = Field(
        default_factory=NearDuplicatesConfig, description="what nearly the same means, and which copy stays"
    )
    deduplicate_against: tuple[Source, ...] = Field(
        (), description="texts whose copies are dropped, such as evaluation data; written like ingest.sources"
    )
    contamination: ContaminationConfig = Field(
        default_factory=ContaminationConfig, description="word runs shared with benchmarks and with the test split"
    )
    split: Literal["hash", "time"] = Field(
        "hash", description="hash of the id, or time: the newest documents are the test, those before them tune"
    )
    undated: Literal["refuse", "train"] = Field("refuse", description="documents without a date in a split by time")
    keep_clusters_together: bool = Field(True, description="documents that are nearly the same never lie in two splits")
    validation_fraction: float = Field(
        0.05, gt=0, le=0.45, description="share of documents that tune a model", json_schema_extra=unit("fraction")
    )
    test_fraction: float = Field(
        0.05, gt=0, le=0.45, description="share of documents that judge a model", json_schema_extra=unit("fraction")
    )
    split_seed: int = Field(0, ge=0, le=2**63 - 1, description="another seed gives another split")
    examples_per_reason: int = Field(
        3, ge=0, le=1000, description="dropped documents shown in the report", json_schema_extra=unit("per reason")
    )
    augmentation: AugmentationConfig | None = Field(
        None, description="altered copies beside the training documents, like {operations: [{operation: typos}]}"
    )
    keep_dropped: bool = Field(False, description="write dropped documents, with the reason, to data/clean/dropped")

    @property
    def wants_signatures(self) -> bool:
        """Whether near-duplicates are looked for: to drop them, or to keep them on one side of the split."""
        return self.deduplicate == "near" or self.keep_clusters_together

    @property
    def similarity(self) -> NearDuplicatesConfig:
        """How near-duplicates are found.

        Where none is dropped for it, an estimate is exact enough, and a lower threshold catches the pairs that the
        estimate takes for less alike than they are.
        """
        near = self.near_duplicates
        if self.deduplicate == "near":
            return near
        return near.model_copy(
            update={"verify": "estimate", "within": "all", "threshold": max(0.3, near.threshold - 0.1)}
        )

    @model_validator(mode="after")
    def _limits_in_order(self) -> CleanConfig:
        if self.max_characters is not None and self.max_characters < self.min_characters:
            raise ValueError(
                f"max_characters {self.max_characters} is below min_characters {self.min_characters}: nothing can pass"
            )
        return self


def compared_paths(config: CleanConfig) -> list[str]:
    """The local files and folders of reference sets and benchmarks, for DVC to watch."""
    sets = [source.path for source in config.deduplicate_against if isinstance(source, PathSource)]
    return [*sets, *(benchmark.path for benchmark in config.contamination.benchmarks)]
