"""Keeps texts in some languages, as py3langid recognizes them.

py3langid (Barbaresi; after langid.py, Lui and Baldwin 2012) is a naive Bayes classifier over byte n-grams of 97
languages; its model comes with the package as a plain array file. Probabilities are normalized.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from model.corpus.filters.batch import Batch, Judgement
from model.corpus.filters.config import LanguageFilterConfig


class Classifier:
    """py3langid's classifier with its walk over the bytes compiled; the same languages, probabilities to 1e-4."""

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._own = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self._next_state = np.frombuffer(self._own.tk_nextmove, self._own.tk_nextmove.typecode)
        self._row_of = np.array(self._own.tk_row, np.int64)
        self._feature_of = np.array(self._own.tk_output, np.int64)
        self._table = self._own.nb_ptc.astype(np.float32)
        self._counts = np.zeros(len(self._table), np.int64)
        self._found = np.empty(len(self._table), np.int64)

    @property
    def labels(self) -> list[str]:
        """The languages that it knows."""
        return list(self._own.labels)

    def classify(self, text: str) -> tuple[str, float]:
        """The likeliest language of a text and its probability (naive Bayes, temperature sqrt(bytes))."""
        from model.corpus.filters.language_kernels import count_features

        own, data = self._own, np.frombuffer(self._own._encode(text), np.uint8)
        n = count_features(self._next_state, self._row_of, self._feature_of, data, self._counts, self._found)
        features = np.sort(self._found[:n])
        counts = np.log1p(self._counts[features].astype(np.float32))
        self._counts[features] = 0
        scores = counts @ self._table[features] + own.nb_pc if n else np.zeros(len(own.nb_classes), np.float32)
        scores *= 1 / math.sqrt(len(data) or 1)
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
        for first, alias in own._alias_pairs:
            scores[first] += scores[alias]
            scores[alias] = 0
        best = int(scores.argmax())
        return str(own.nb_classes[best]), float(scores[best])


@functools.cache
def identifier() -> Classifier:
    """The classifier, loaded once in a process."""
    return Classifier()


@functools.cache
def known_languages() -> tuple[str, ...]:
    """The languages that can be recognized, in alphabetical order."""
    return tuple(sorted(identifier().labels))


class Language:
    """Judges batches by language; can correct their tags."""

    def __init__(self, config: LanguageFilterConfig) -> None:
        self.config = config
        self.rules = {
            "other": f"in another language than {', '.join(config.keep) or 'any'}",
            "uncertain": f"its language is less certain than {config.min_probability}",
        }

    def judge(self, batch: Batch) -> Judgement:
        """Texts in other languages, and those that cannot be told."""
        rules, tags = np.full(len(batch.texts), -1, np.int64), {}
        for i in np.flatnonzero(batch.alive).tolist():
            language, probability = identifier().classify(batch.texts[i][: self.config.max_characters])
            if probability < self.config.min_probability:
                rules[i] = 1
            elif self.config.keep and language not in self.config.keep:
                rules[i] = 0
            elif self.config.retag and not _names(batch.languages[i], language):
                tags[i] = language
        return Judgement(rules, languages=tags)


def _names(tag: str, language: str) -> bool:
    """Whether a tag like en-GB already names a language."""
    return tag.lower().split("-")[0] == language
