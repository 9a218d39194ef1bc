"""The repetition rules of Gopher's MassiveText (Rae et al. 2021, arXiv:2112.11446, table A1).

| measure | at most |
|---|---|
| duplicate line fraction; duplicate paragraph fraction | 0.30; 0.30 |
| duplicate line character fraction; duplicate paragraph character fraction | 0.20; 0.20 |
| top 2-, 3-, 4-gram character fraction | 0.20, 0.18, 0.16 |
| duplicate 5- to 10-gram character fraction | 0.15, 0.14, 0.13, 0.12, 0.11, 0.10 |

As in datatrove, with which decisions are compared: the first occurrence of a line is no duplicate; paragraphs are
separated by empty lines; a top n-gram's length includes the spaces between its words, a duplicate n-gram's does not,
and counting goes on behind a duplicate; shares are of all characters of the text.
"""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement
from model.corpus.filters.config import GopherRepetitionConfig
from model.corpus.filters.hash_table_kernels import table_for
from model.corpus.filters.repetition_kernels import judge_repetition

N_POWERS = 512  # n-grams of up to so many characters need no power to be computed


class GopherRepetition:
    """Judges batches by the repetition rules."""

    def __init__(self, config: GopherRepetitionConfig) -> None:
        tops, grams = sorted(config.max_top_grams.items()), sorted(config.max_duplicate_grams.items())
        self.rules = {
            "duplicate_paragraphs": f"more than {config.max_duplicate_paragraphs} of the paragraphs came before",
            "duplicate_paragraph_characters": f"more than {config.max_duplicate_paragraph_characters} of the "
            "characters are in such paragraphs",
            "duplicate_lines": f"more than {config.max_duplicate_lines} of the lines came before",
            "duplicate_line_characters": f"more than {config.max_duplicate_line_characters} of the characters are in "
            "such lines",
            **{f"top_{n}_grams": f"more than {most} of the characters are one {n}-gram of words" for n, most in tops},
            **{
                f"duplicate_{n}_grams": f"more than {most} of the characters are in {n}-grams of words that came before"
                for n, most in grams
            },
        }
        self._limits = np.array(
            [
                np.inf if most is None else most
                for most in (
                    config.max_duplicate_paragraphs,
                    config.max_duplicate_paragraph_characters,
                    config.max_duplicate_lines,
                    config.max_duplicate_line_characters,
                )
            ]
        )
        self._tops = np.array([n for n, _ in tops], np.int64), np.array([most for _, most in tops], np.float64)
        self._grams = np.array([n for n, _ in grams], np.int64), np.array([most for _, most in grams], np.float64)

    def judge(self, batch: Batch) -> Judgement:
        """The first rule that each text breaks."""
        cut = batch.segmented
        lines, paragraphs = cut.lines, cut.paragraphs
        most_words = int(cut.n_words.max(initial=1))
        most = max(most_words, *(int(np.diff(pieces.of_text).max(initial=1)) for pieces in (lines, paragraphs)))
        keys, stamps = table_for(most + 1)
        rules = np.full(cut.n_texts, -1, np.int64)
        judge_repetition(
            cut.characters,
            cut.text_starts,
            cut.word_starts,
            cut.word_ends,
            cut.word_hashes,
            cut.words_of_text,
            (lines.starts, lines.ends, lines.hashes, lines.of_text),
            (paragraphs.starts, paragraphs.ends, paragraphs.hashes, paragraphs.of_text),
            self._limits,
            *self._tops,
            *self._grams,
            batch.alive,
            (keys, stamps, np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)),
            np.empty(most_words + 1, np.uint64),
            np.empty(most_words + 1, np.int64),
            np.ones(N_POWERS, np.uint64),
            rules,
        )
        return Judgement(rules)
