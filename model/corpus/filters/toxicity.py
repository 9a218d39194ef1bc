"""Drops texts with many offensive passages, by the classifier that comes with alt-profanity-check.

A linear support vector machine over words (Zhou 2019, "profanity-check", trained on 200,000 labelled comments of
English), calibrated to probabilities. It was trained on comments, so a text is judged passage by passage. The package
ships the model as joblib files, which execute code when loaded; they are loaded, by the package itself, only if they
are byte for byte what the package's own record of its installation says.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model.corpus.filters.batch import Batch, Judgement
from model.corpus.filters.config import ToxicityFilterConfig
from model.errors import IntegrityError

PACKAGE = "alt-profanity-check"
PASSAGES_AT_ONCE = 4096


@functools.cache
def classifier() -> Callable[[list[str]], Any]:
    """Gives the probability of offence for each of several passages; loaded once in a process.

    Raises:
        IntegrityError: The model files are not those that were installed.
    """
    for file in importlib.metadata.files(PACKAGE) or []:
        if file.suffix == ".joblib" and file.hash is not None:
            path = Path(str(file.locate()))
            digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                raise IntegrityError(f"toxicity filter: {path} is not the file that was installed; reinstall {PACKAGE}")
    import profanity_check

    predict: Callable[[list[str]], Any] = profanity_check.predict_prob
    return predict


class Toxicity:
    """Judges batches by their share of offensive passages."""

    def __init__(self, config: ToxicityFilterConfig) -> None:
        self.config = config
        self.rules = {"offensive": f"more than {config.max_offensive} of it is in offensive passages"}

    def judge(self, batch: Batch) -> Judgement:
        """Texts with too much in offensive passages."""
        shares = offensive_shares(
            [text if lives else "" for text, lives in zip(batch.texts, batch.alive, strict=True)], self.config
        )
        return Judgement(np.where(shares > self.config.max_offensive, 0, -1))


def offensive_shares(texts: list[str], config: ToxicityFilterConfig) -> np.ndarray:
    """The share of each text's characters that is in offensive passages: (n_texts,) float64."""
    owners: list[int] = []
    passages: list[str] = []
    offensive, whole = np.zeros(len(texts)), np.zeros(len(texts))

    def score() -> None:
        if not passages:
            return
        lengths = np.array([len(passage) for passage in passages], np.float64)
        probabilities = np.asarray(classifier()([passage.encode("utf-8", "replace").decode() for passage in passages]))
        np.add.at(whole, owners, lengths)
        np.add.at(offensive, owners, lengths * (probabilities >= config.min_probability))
        owners.clear()
        passages.clear()

    for i, text in enumerate(texts):
        for passage in passages_of(text, config.passage):
            owners.append(i)
            passages.append(passage)
            if len(passages) == PASSAGES_AT_ONCE:
                score()
    score()
    return offensive / np.maximum(whole, 1)


def passages_of(text: str, most: int) -> Iterator[str]:
    """A text in passages of at most `most` characters, cut at line ends, else at blanks; blank ones are left out."""
    start = 0
    while start < len(text):
        end = start + most
        if end < len(text):
            cut = max(text.rfind("\n", start, end), start)
            if cut == start:
                cut = max(text.rfind(" ", start, end), start)
            end = cut + 1 if cut > start else end
        passage = text[start:end]
        if not passage.isspace():
            yield passage
        start = end
