"""The line rules of FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.6).

Their custom filters drop documents where at most 0.12 of the lines end with punctuation, where 0.67 and more of the
lines are shorter than 30 characters, and where 0.1 and more of the characters are in duplicated lines. datatrove's
published filter, with which decisions are compared, uses 0.01 for the last, compares with < and >, calls a line of
exactly 30 characters short, leaves blank lines out, and also drops lists: more than 0.3 line ends for each word.
"""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement, exceeds, falls_short, first_rule
from model.corpus.filters.config import FineWebConfig
from model.corpus.filters.fineweb_kernels import measure_lines
from model.corpus.filters.hash_table_kernels import table_for
from model.corpus.segmentation_tables import tables


class FineWeb:
    """Judges batches by the line rules."""

    def __init__(self, config: FineWebConfig) -> None:
        self.config = config
        self.rules = {
            "no_text": "no line with anything but white space",
            "too_few_punctuated_lines": f"fewer than {config.min_punctuated_lines} of the lines end in punctuation",
            "too_many_short_lines": f"more than {config.max_short_lines} of the lines have at most {config.short_line} "
            "characters",
            "duplicate_line_characters": f"more than {config.max_duplicate_line_characters} of the characters are in "
            "lines that came before",
            "list": f"more than {config.max_lines_per_word} line ends for each word",
        }

    def judge(self, batch: Batch) -> Judgement:
        """The first rule that each text breaks."""
        config, cut = self.config, batch.segmented
        pieces = cut.lines
        measured = np.zeros((cut.n_texts, 6), np.int64)
        measure_lines(
            cut.characters,
            tables().flags,
            pieces.starts,
            pieces.ends,
            pieces.hashes,
            pieces.of_text,
            config.short_line,
            batch.alive,
            *table_for(int(np.diff(pieces.of_text).max(initial=1))),
            measured,
        )
        lines, punctuated, short, repeated, length, line_feeds = measured.T
        return Judgement(
            first_rule(
                [
                    np.asarray(lines == 0),
                    falls_short(punctuated, lines, config.min_punctuated_lines),
                    exceeds(short, lines, config.max_short_lines),
                    exceeds(repeated, length, config.max_duplicate_line_characters),
                    exceeds(line_feeds, cut.n_words, config.max_lines_per_word),
                ]
            )
        )
