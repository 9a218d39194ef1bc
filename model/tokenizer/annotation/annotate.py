"""All side features of a text, one value for each of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.files import write_bytes
from model.tokenizer.annotation.clusters import TokenClusters
from model.tokenizer.annotation.part_of_speech import tag_words
from model.tokenizer.annotation.sentiment import sentence_sentiments, word_valences
from model.tokenizer.annotation.words import word_of_token, words
from model.tokenizer.tokenizer import Tokenizer

Feature = Literal["part_of_speech", "valence", "sentence_sentiment", "cluster"]


@dataclass(frozen=True)
class Annotation:
    """The tokens of a text with their side features.

    Attributes:
        ids: (n_tokens,) uint32.
        word: (n_tokens,) int64, number of the word that a token begins or goes on; -1 for white space.
        features: By name, each (n_tokens,): `part_of_speech` uint8 (see `part_of_speech.TAGS`), `valence` float32 from
            -4 to 4, `sentence_sentiment` float32 from -1 to 1, `cluster` int32, -1 for none.
    """

    ids: npt.NDArray[np.uint32]
    word: npt.NDArray[np.int64]
    features: dict[str, npt.NDArray[np.generic]]

    def save(self, path: Path) -> None:
        """Write all arrays side by side as safetensors: `ids`, `word` and the features."""
        from safetensors.numpy import save

        arrays = {"ids": self.ids, "word": self.word, **self.features}
        write_bytes(path, save({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


def annotate(
    tokenizer: Tokenizer,
    text: str,
    features: Sequence[Feature],
    language: str = "en",
    clusters: TokenClusters | None = None,
) -> Annotation:
    """Encode a text and say something about each token.

    Args:
        tokenizer: Lossless (no normalization).
        text: The text.
        features: Which side features.
        language: Of the part of speech; sentiment is English.
        clusters: For the feature `cluster`.

    Raises:
        ConfigError: A library or a language's model is missing, or `cluster` is asked for without clusters.
        TokenizerError: The tokenizer changes the text, or the clusters belong to another one.
    """
    from model.errors import ConfigError, TokenizerError

    ids = tokenizer.encode(text)
    found = words(text)
    owner = word_of_token(tokenizer, text, ids, found)
    made: dict[str, npt.NDArray[np.generic]] = {}
    for feature in features:
        if feature == "part_of_speech":
            made[feature] = _spread(tag_words(found, language), owner, np.dtype(np.uint8))
        elif feature == "valence":
            made[feature] = _spread(word_valences(found), owner, np.dtype(np.float32))
        elif feature == "sentence_sentiment":
            made[feature] = _spread(sentence_sentiments(text, found), owner, np.dtype(np.float32))
        elif clusters is None:
            raise ConfigError("annotation: feature cluster needs clusters; learn them from a corpus first")
        elif clusters.tokenizer_digest != tokenizer.digest:
            raise TokenizerError("annotation: the clusters belong to another tokenizer; learn them again")
        else:
            made[feature] = clusters.cluster_of[np.array(ids, np.int64)]
    return Annotation(np.array(ids, np.uint32), owner, made)


def _spread(
    values: Sequence[float], owner: npt.NDArray[np.int64], dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic]:
    """Each token gets the value of its word, 0 without one."""
    table = np.array([*values, 0], dtype)
    return table[owner]
