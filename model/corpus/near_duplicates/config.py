"""What counts as nearly the same text, and what happens to the copies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model.configuration import StrictConfig, unit
from model.corpus.near_duplicates.banding import banding

Keep = Literal["first", "longest", "most_recent"]


class NearDuplicatesConfig(StrictConfig):
    """Documents whose sets of word shingles have at least this Jaccard similarity are copies of each other."""

    threshold: float = Field(
        0.8, ge=0.3, le=1, description="least Jaccard similarity of two copies' shingle sets",
        json_schema_extra=unit("fraction"),
    )  # fmt: skip
    shingle_words: int = Field(
        5, ge=1, le=50, description="neighbouring words (lower case, no punctuation) that make a shingle",
        json_schema_extra=unit("words"),
    )  # fmt: skip
    signature_values: int = Field(
        120, ge=16, le=1024, multiple_of=4,
        description="values of a document's MinHash signature; one byte each (two if the threshold is low)",
        json_schema_extra=unit("values"),
    )  # fmt: skip
    verify: Literal["exact", "estimate"] = Field(
        "exact",
        description="exact compares the shingle sets of pairs near the threshold; estimate trusts the signatures "
        "(standard error 0.04 at 120 values)",
    )
    within: Literal["all", "source"] = Field(
        "all", description="all looks for copies across sources; source only inside each source"
    )
    keep: Keep = Field("first", description="which document of a cluster stays")
    copies: Literal["keep_one", "drop_all"] = Field(
        "keep_one", description="drop_all drops every document that has a copy"
    )

    @model_validator(mode="after")
    def _enough_values(self) -> NearDuplicatesConfig:
        if banding(self.threshold, self.signature_values).rows < 2:
            raise ValueError(
                f"signature_values {self.signature_values} are too few for the threshold {self.threshold:g}: bands of "
                "one value would make everything a candidate; raise signature_values"
            )
        return self
