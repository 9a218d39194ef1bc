"""Drops texts with too few or too many characters of a class: letters, digits, punctuation, capitals ..."""

from __future__ import annotations

import numpy as np

from model.corpus.filters.batch import Batch, Judgement, exceeds, falls_short, first_rule
from model.corpus.filters.character_kernels import CLASSES, count_classes
from model.corpus.filters.config import CharacterClassesConfig
from model.corpus.segmentation_tables import tables


class CharacterClasses:
    """Judges batches by the shares of character classes (Unicode general categories)."""

    def __init__(self, config: CharacterClassesConfig) -> None:
        self.config = config
        self.rules = {
            **{
                f"too_few_{name}": f"fewer than {least} of its characters are {name}"
                for name, least in config.least.items()
            },
            **{
                f"too_many_{name}": f"more than {most} of its characters are {name}"
                for name, most in config.most.items()
            },
        }

    def judge(self, batch: Batch) -> Judgement:
        """The first rule that each text breaks."""
        cut = batch.segmented
        measured = np.zeros((cut.n_texts, len(CLASSES)), np.int64)
        count_classes(cut.characters, cut.text_starts, tables().flags, batch.alive, measured)
        counts = dict(zip(CLASSES, measured.T, strict=True))
        wholes = dict.fromkeys(CLASSES, batch.lengths - counts["white_space"])
        wholes |= {"white_space": batch.lengths, "capitals": counts["letters"]}
        broken = [falls_short(counts[name], wholes[name], least) for name, least in self.config.least.items()]
        broken += [exceeds(counts[name], wholes[name], most) for name, most in self.config.most.items()]
        return Judgement(first_rule(broken or [np.zeros(len(batch.lengths), bool)]))
