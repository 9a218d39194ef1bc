"""Which benchmarks training text is compared with, and what happens to documents that hold their items."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from model.configuration import StrictConfig, unit


class BenchmarkFile(StrictConfig):
    """A file of JSON lines, one item each, or a folder of such files, each a benchmark."""

    path: str = Field(min_length=1, description="file (.jsonl or .jsonl.gz) or folder, relative to the workspace")
    name: str = Field("", max_length=100, description="name in the report; empty means the file's name")
    fields: tuple[str, ...] = Field(
        (),
        description="fields whose texts make an item, in this order; empty recognises question/choices/answer, "
        "context/continuation, prompt/solution, sentence pairs and text",
    )


class ContaminationConfig(StrictConfig):
    """Overlap of training text with benchmarks and with the test split, by runs of n words."""

    benchmarks: tuple[BenchmarkFile, ...] = Field((), description="benchmarks to compare with")
    test_split: Literal["compare", "ignore"] = Field(
        "compare", description="compare training text with the documents of the test split too"
    )
    ngram_words: tuple[int, ...] = Field(
        (13, 8),
        description="lengths of the runs: 13 as GPT-3 (Brown et al. 2020, appendix C), 8 as PaLM and Llama 2",
        json_schema_extra=unit("words"),
    )
    least_words: int = Field(
        5, ge=2, le=50, description="items shorter than a run are looked for whole, down to this length",
        json_schema_extra=unit("words"),
    )  # fmt: skip
    minimum_share: float = Field(
        0.7, gt=0, le=1, json_schema_extra=unit("fraction"),
        description="an item is contaminated, and a document holds it, from this share of its runs on (PaLM: 0.7)",
    )  # fmt: skip
    remove: Literal["none", "document"] = Field(
        "none", description="document drops training documents that hold an item by the longest runs"
    )
    max_ngrams: int = Field(
        4_000_000, ge=1000, description="most runs remembered of the benchmarks, and of the test split; beyond, a "
        "sample of them is compared, and the report says how large", json_schema_extra=unit("runs"),
    )  # fmt: skip
    examples: int = Field(5, ge=0, le=1000, description="worst overlaps shown of each benchmark")

    @field_validator("ngram_words")
    @classmethod
    def _lengths(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if not lengths or len(set(lengths)) != len(lengths) or not all(2 <= n <= 100 for n in lengths):
            raise ValueError("expected one or more different lengths from 2 to 100 words, like [13, 8]")
        return lengths
