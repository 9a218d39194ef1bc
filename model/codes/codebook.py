"""Vectors as codes and back: vector quantization in one or more stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.codes.config import CodebookConfig
from model.errors import CheckpointError, CorpusError, TokenizerError
from model.files import read_json, write_bytes, write_json
from model.randomness import numpy_generator
from model.tokenizer.clustering import Points, assign, kmeans

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Codebook:
    """Centres for each stage.

    A vector's first code is its nearest centre; each further stage codes what is left over (residual vector
    quantization: Juang and Gray 1982; for sound Zeghidour et al. 2021, "SoundStream", arXiv:2107.03312).

    Attributes:
        centres_SKD: (stages, codes, features) float32.
    """

    centres_SKD: Points  # noqa: N815  (the shape, as in all tensors here)

    @property
    def n_stages(self) -> int:
        """Codes for each vector."""
        return int(self.centres_SKD.shape[0])

    @property
    def n_codes(self) -> int:
        """Centres of each stage."""
        return int(self.centres_SKD.shape[1])

    @property
    def size(self) -> int:
        """Different code tokens: each stage has its own."""
        return self.n_stages * self.n_codes

    def encode(self, vectors: Points) -> Codes:
        """Codes of vectors (n, d): (n, stages) int64; stage s has the numbers `s * n_codes` and following."""
        left = np.ascontiguousarray(vectors, np.float32)
        codes = np.empty((len(left), self.n_stages), np.int64)
        for stage, centres in enumerate(self.centres_SKD):
            nearest, _ = assign(left, centres)
            codes[:, stage] = nearest + stage * self.n_codes
            left = left - centres[nearest]
        return codes

    def decode(self, codes: Codes) -> Points:
        """The vectors (n, d) float32 of codes (n, stages).

        Raises:
            TokenizerError: A code is out of the range of its stage.
        """
        vectors = np.zeros((len(codes), self.centres_SKD.shape[2]), np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.n_stages:
            raise TokenizerError(f"codes of shape {codes.shape}, expected (n, {self.n_stages}) for this codebook")
        for stage, centres in enumerate(self.centres_SKD):
            own = codes[:, stage] - stage * self.n_codes
            if len(own) and (own.min() < 0 or own.max() >= self.n_codes):
                raise TokenizerError(
                    f"stage {stage}: code {int(codes[:, stage].max())}, expected {stage * self.n_codes} to "
                    f"{(stage + 1) * self.n_codes - 1}; do these codes come from this codebook?"
                )
            vectors += centres[own]
        return vectors


def train_codebook(vectors: Points, config: CodebookConfig) -> Codebook:
    """Learn the centres of all stages; the same vectors and config give the same bytes.

    Args:
        vectors: (n, d) float32.
        config: How many codes and stages.

    Raises:
        CorpusError: There are fewer vectors than codes.
    """
    if len(vectors) < config.n_codes:
        raise CorpusError(
            f"{len(vectors):,} vectors cannot fill {config.n_codes:,} codes; give more data, or fewer codes"
        )
    if len(vectors) > config.max_vectors:
        drawn = numpy_generator(config.seed, "vectors").choice(len(vectors), config.max_vectors, replace=False)
        vectors = vectors[np.sort(drawn)]
    left = np.ascontiguousarray(vectors, np.float32)
    stages = []
    for stage in range(config.n_stages):
        centres = kmeans(left, config.n_codes, config.n_iterations, numpy_generator(config.seed, "centres", stage))
        stages.append(centres)
        left = left - centres[assign(left, centres)[0]]
    return Codebook(np.stack(stages))


def save_codebook(folder: Path, name: str, codebook: Codebook, facts: Mapping[str, Any]) -> None:
    """Write `NAME_codes.safetensors` and `NAME_codes.json` (what the codes mean)."""
    from safetensors.numpy import save

    write_bytes(folder / f"{name}_codes.safetensors", save({"centres": codebook.centres_SKD}))
    write_json(folder / f"{name}_codes.json", dict(facts))


def load_codebook(folder: Path, name: str) -> tuple[Codebook, dict[str, Any]]:
    """Read what `save_codebook` wrote.

    Raises:
        IntegrityError: The JSON file is missing or damaged.
        CheckpointError: The codebook is missing, damaged or of a wrong shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    facts = read_json(folder / f"{name}_codes.json")
    path = folder / f"{name}_codes.safetensors"
    try:
        centres = load_file(path)["centres"]
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; learn the codes again") from error
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); learn the codes again") from error
    if centres.ndim != 3 or centres.dtype != np.float32:
        raise CheckpointError(f"{path}: centres {centres.shape} {centres.dtype}, expected 3 dimensions of float32")
    return Codebook(centres), facts
