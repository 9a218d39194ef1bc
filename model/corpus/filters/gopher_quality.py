"""The document rules of Gopher's MassiveText (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1, "Quality Filtering").

The paper keeps documents of 50 to 100,000 words with a mean word length of 3 to 10 characters; drops those with a
symbol-to-word ratio above 0.1 for either the hash or the ellipsis, with more than 90 % of lines beginning with a bullet
or more than 30 % ending in an ellipsis; wants 80 % of words to have a letter, and at least two of the, be, to, of, and,
that, have, with. As in datatrove, with which decisions are compared: words that are only marks do not count for number
and mean length but do for the ratios; a bullet is • or -; stop words are compared as written.
"""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement, exceeds, falls_short, first_rule
from model.corpus.filters.config import GopherQualityConfig
from model.corpus.filters.gopher_kernels import N_MEASURES, measure_quality
from model.corpus.segmentation import word_hash
from model.corpus.segmentation_tables import tables


class GopherQuality:
    """Judges batches by the quality rules."""

    def __init__(self, config: GopherQualityConfig) -> None:
        self.config = config
        self.rules = {
            "too_few_words": f"fewer than {config.min_words} words",
            "too_many_words": f"more than {config.max_words} words",
            "words_too_short": f"mean word length below {config.min_mean_word_length}",
            "words_too_long": f"mean word length above {config.max_mean_word_length}",
            "too_many_hashes": f"more than {config.max_hashes_per_word} hash signs for each word",
            "too_many_ellipses": f"more than {config.max_ellipses_per_word} ellipses for each word",
            "too_many_bullets": f"more than {config.max_bullet_lines} of the lines begin with a bullet",
            "too_many_ellipsis_lines": f"more than {config.max_ellipsis_lines} of the lines end with an ellipsis",
            "too_few_alphabetic_words": f"fewer than {config.min_alphabetic_words} of the words have a letter",
            "too_few_stop_words": f"fewer than {config.min_stop_words} different stop words",
        }
        self._stop_words = np.array([word_hash(word) for word in dict.fromkeys(config.stop_words)], np.uint64)

    def judge(self, batch: Batch) -> Judgement:
        """The first rule that each text breaks."""
        config, cut = self.config, batch.segmented
        measured = np.zeros((cut.n_texts, N_MEASURES), np.int64)
        measure_quality(
            cut.characters,
            cut.text_starts,
            tables().flags,
            cut.word_starts,
            cut.word_ends,
            cut.word_hashes,
            cut.word_kinds,
            cut.words_of_text,
            self._stop_words,
            batch.alive,
            measured,
        )
        words, real, length, hashes, ellipses, lines, bullets, ellipsis_lines, alphabetic, stop = measured.T
        none = np.zeros(len(words), bool)
        return Judgement(
            first_rule(
                [
                    none if config.min_words is None else real < config.min_words,
                    none if config.max_words is None else real > config.max_words,
                    falls_short(length, real, config.min_mean_word_length),
                    exceeds(length, real, config.max_mean_word_length),
                    exceeds(hashes, words, config.max_hashes_per_word),
                    exceeds(ellipses, words, config.max_ellipses_per_word),
                    exceeds(bullets, lines, config.max_bullet_lines),
                    exceeds(ellipsis_lines, lines, config.max_ellipsis_lines),
                    falls_short(alphabetic, words, config.min_alphabetic_words),
                    none if config.min_stop_words is None else stop < config.min_stop_words,
                ]
            )
        )
