"""Drops texts by their number of characters or words."""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement, first_rule
from model.corpus.filters.config import LengthFilterConfig
from model.corpus.segmentation import MARK


class Length:
    """Judges batches by length; words are cut only if words are limited."""

    def __init__(self, config: LengthFilterConfig) -> None:
        self.config = config
        self.rules = {
            "too_few_characters": f"fewer than {config.min_characters} characters",
            "too_many_characters": f"more than {config.max_characters} characters",
            "too_few_words": f"fewer than {config.min_words} words",
            "too_many_words": f"more than {config.max_words} words",
        }

    def judge(self, batch: Batch) -> Judgement:
        """The first rule that each text breaks."""
        config, lengths = self.config, batch.lengths
        none = np.zeros(len(lengths), bool)
        words = np.zeros(len(lengths), np.int64)
        if config.min_words is not None or config.max_words is not None:
            cut = batch.segmented
            before = np.concatenate(([0], np.cumsum(cut.word_kinds != MARK)))
            words = before[cut.words_of_text[1:]] - before[cut.words_of_text[:-1]]
        return Judgement(
            first_rule(
                [
                    none if config.min_characters is None else lengths < config.min_characters,
                    none if config.max_characters is None else lengths > config.max_characters,
                    none if config.min_words is None else words < config.min_words,
                    none if config.max_words is None else words > config.max_words,
                ]
            )
        )
