"""How images, sound and music become codes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.configuration import StrictConfig, unit


class CodebookConfig(StrictConfig):
    """A codebook learned by k-means, in one or more stages."""

    n_codes: int = Field(512, ge=2, le=65_536, description="centres of each stage", json_schema_extra=unit("codes"))
    n_stages: int = Field(
        1, ge=1, le=16, description="codes per vector; each stage codes what the stages before left over"
    )
    n_iterations: int = Field(
        20, ge=1, le=1000, description="rounds of Lloyd's algorithm", json_schema_extra=unit("rounds")
    )
    max_vectors: int = Field(
        100_000,
        ge=2,
        le=10_000_000,
        description="learn from so many, drawn at random",
        json_schema_extra=unit("vectors"),
    )
    seed: int = Field(0, ge=0, description="draws the vectors and the first centres")


class ImageCodesConfig(StrictConfig):
    """Images as patches, each a code."""

    patch_size: int = Field(4, ge=1, le=64, description="side of a square patch", json_schema_extra=unit("pixels"))
    codebook: CodebookConfig = Field(CodebookConfig(), description="the codes of patches")


class AudioCodesConfig(StrictConfig):
    """Sound as frames of a mel spectrogram, each a code."""

    sample_rate: int = Field(
        16_000, ge=1_000, le=192_000, description="sound is resampled to it", json_schema_extra=unit("Hz")
    )
    window: int = Field(1024, ge=16, le=65_536, description="samples in a frame", json_schema_extra=unit("samples"))
    hop: int = Field(256, ge=1, le=65_536, description="samples from frame to frame", json_schema_extra=unit("samples"))
    n_mels: int = Field(80, ge=4, le=512, description="bands of the mel spectrogram", json_schema_extra=unit("bands"))
    features: Literal["log_mel", "mfcc"] = Field(
        "log_mel", description="what is coded: log-mel bands, or their cepstrum"
    )
    n_mfcc: int = Field(
        20, ge=2, le=512, description="coefficients kept with features mfcc", json_schema_extra=unit("coefficients")
    )
    codebook: CodebookConfig = Field(CodebookConfig(n_codes=256), description="the codes of frames")


class MusicCodesConfig(StrictConfig):
    """Tunes in ABC notation: frequent signs are codes, the rest bytes."""

    n_codes: int = Field(
        512, ge=256, le=65_536, description="256 bytes and the most frequent signs", json_schema_extra=unit("codes")
    )
