"""The line rules of C4 (Raffel et al. 2020, JMLR 21(140), section 2.2).

Only lines that end in a terminal punctuation mark and have at least 3 words stay; lines with "Javascript" go, as do,
in the published code (tensorflow_datasets, `c4_utils.py`), those with a word of more than 1000 characters and those
about cookies, privacy and terms of use; citation marks are taken out. A page with "lorem ipsum", with a curly bracket,
or with fewer than 5 sentences is dropped. Differences from the paper, as in datatrove, with which decisions are
compared: a line may also end in an apostrophe but not in an ellipsis; only lines that got so far are searched for what
drops the page; sentences are counted by spaCy's rule; there is no list of bad words (see the `toxicity` filter).
"""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement
from model.corpus.filters.c4_kernels import IN_BRACKET, IN_LINE, IN_POLICY, IN_TEXT, keep_lines
from model.corpus.filters.config import C4Config
from model.corpus.segmentation_tables import tables

FREQUENT_FIRST = " etaoinshrdlucmfwypvbgkjqxz"
ANY_LENGTH = 2**62


class C4:
    """Judges batches by the C4 rules; texts that stay lose lines."""

    def __init__(self, config: C4Config) -> None:
        self.rules = {
            "phrase": f"has {', '.join(config.dropped_text_phrases) or 'nothing'} in a line that would stay",
            "curly_bracket": "has { in a line that would stay",
            "too_few_sentences": f"fewer than {config.min_sentences} sentences in the lines that stay",
        }
        self._limits = np.array(
            [
                ANY_LENGTH if config.max_word_length is None else config.max_word_length,
                config.min_words_per_line or 0,
                -1 if config.min_sentences is None else config.min_sentences,
                config.remove_citations,
                config.require_terminal_punctuation,
            ],
            np.int64,
        )
        self._phrases = _phrase_tables(
            [(phrase, IN_TEXT) for phrase in config.dropped_text_phrases]
            + [(phrase, IN_LINE) for phrase in config.dropped_line_phrases]
            + [(phrase, IN_POLICY) for phrase in config.policy_phrases]
            + [("{", IN_BRACKET)] * config.drop_curly_brackets
        )

    def judge(self, batch: Batch) -> Judgement:
        """Why each text is dropped, and what is left of the others."""
        cut, table = batch.segmented, tables()
        out = np.empty(len(cut.characters), np.uint32)
        spans = np.zeros((cut.n_texts, 2), np.int64)
        rules, changed = np.full(cut.n_texts, -1, np.int64), np.zeros(cut.n_texts, np.bool_)
        read_only = out.view()
        read_only.flags.writeable = False
        room = (*(np.empty(size, np.int64) for size in (len(out) + 1, len(out) + 1, 2, 2)), read_only)
        keep_lines(
            cut.characters,
            cut.text_starts,
            table.flags,
            table.lower,
            (table.keys, table.cuts, table.shapes, table.units),
            cut.word_starts,
            cut.word_ends,
            cut.words_of_text,
            self._limits,
            *self._phrases,
            batch.alive,
            out,
            spans,
            room,
            rules,
            changed,
        )
        left = np.flatnonzero(changed & (rules < 0) & batch.alive)
        texts = {int(i): out[slice(*spans[i])].tobytes().decode("utf-32-le", "surrogatepass") for i in left}
        return Judgement(rules, texts)


def _phrase_tables(phrases: list[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All phrases end to end, their spans and kinds, and the lowest bytes of the characters to look out for."""
    characters = np.frombuffer("".join(phrase for phrase, _ in phrases).encode("utf-32-le"), np.uint32)
    spans = np.zeros((len(phrases), 4), np.int64)
    anchors = np.zeros(256, np.bool_)
    start = 0
    for k, (phrase, kind) in enumerate(phrases):
        anchor = max(range(len(phrase)), key=lambda i: FREQUENT_FIRST.find(phrase[i]) % 100)
        spans[k] = start, start + len(phrase), anchor, kind
        anchors[ord(phrase[anchor]) & 255] = True
        start += len(phrase)
    return characters, spans, anchors
