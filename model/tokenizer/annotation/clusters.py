"""Semantic groups of tokens, from the company that they keep in a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from model.configuration import StrictConfig, unit
from model.errors import CheckpointError, CorpusError, TokenizerError
from model.files import read_json, write_bytes, write_json
from model.randomness import numpy_generator
from model.tokenizer.clustering import assign, kmeans
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.word_vectors import cooccurrences, word_vectors

CLUSTERS = "token_clusters"


class ClusterConfig(StrictConfig):
    """How tokens are grouped."""

    n_clusters: int = Field(32, ge=2, le=4096, description="groups", json_schema_extra=unit("clusters"))
    n_tokens: int = Field(
        2000, ge=2, le=8192, description="the most used tokens are grouped", json_schema_extra=unit("tokens")
    )
    window: int = Field(
        5, ge=1, le=100, description="neighbours counted on each side", json_schema_extra=unit("tokens")
    )
    n_features: int = Field(50, ge=1, le=1000, description="length of a token's vector")
    seed: int = Field(0, ge=0, description="draws the first centres")


@dataclass(frozen=True)
class TokenClusters:
    """The group of each id.

    Attributes:
        cluster_of: (vocab_size,) int32, -1 for control tokens and tokens too rare to be grouped.
        tokenizer_digest: Of the tokenizer that the ids belong to.
    """

    cluster_of: npt.NDArray[np.int32]
    tokenizer_digest: str

    def save(self, folder: Path) -> None:
        """Write `token_clusters.safetensors` and `token_clusters.json`."""
        from safetensors.numpy import save

        write_bytes(folder / f"{CLUSTERS}.safetensors", save({"cluster_of": self.cluster_of}))
        write_json(folder / f"{CLUSTERS}.json", {"tokenizer_digest": self.tokenizer_digest})

    @classmethod
    def open(cls, folder: Path, tokenizer: Tokenizer) -> TokenClusters:
        """Read what `save` wrote.

        Raises:
            CheckpointError: It is missing or damaged.
            TokenizerError: It belongs to another tokenizer.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        digest = str(read_json(folder / f"{CLUSTERS}.json").get("tokenizer_digest"))
        if digest != tokenizer.digest:
            raise TokenizerError(
                f"{folder / CLUSTERS}.json: clusters of tokenizer {digest[:12]}, expected {tokenizer.digest[:12]}; "
                "make them again"
            )
        path = folder / f"{CLUSTERS}.safetensors"
        try:
            return cls(load_file(path)["cluster_of"], digest)
        except (FileNotFoundError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"{path}: missing or damaged ({error}); make the clusters again") from error


def train_clusters(tokenizer: Tokenizer, texts: Iterable[str], config: ClusterConfig) -> TokenClusters:
    """Group the most used tokens by k-means over their PPMI+SVD vectors (rows of length 1: spherical k-means).

    Raises:
        CorpusError: The texts use fewer different tokens than there are groups.
    """
    encoded = [ids.astype(np.int64) for ids in tokenizer.encode_arrays(list(texts))]
    uses = np.zeros(tokenizer.vocab_size, np.int64)
    for ids in encoded:
        uses += np.bincount(ids, minlength=tokenizer.vocab_size)
    ordered = np.lexsort((np.arange(len(uses)), -uses))
    known = ordered[: min(config.n_tokens, int(np.count_nonzero(uses)))]
    if len(known) < config.n_clusters:
        raise CorpusError(
            f"the texts use {len(known)} different tokens, expected {config.n_clusters} or more; "
            "give more text, or ask for fewer clusters"
        )
    number = np.full(tokenizer.vocab_size, -1, np.int64)
    number[known] = np.arange(len(known))
    vectors = word_vectors(
        cooccurrences([number[ids] for ids in encoded], len(known), config.window), config.n_features
    )
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    points = np.ascontiguousarray(vectors, np.float32)
    centres = kmeans(points, config.n_clusters, 50, numpy_generator(config.seed, "clusters"))
    cluster_of = np.full(tokenizer.vocab_size, -1, np.int32)
    cluster_of[known] = assign(points, centres)[0]
    return TokenClusters(cluster_of, tokenizer.digest)
