"""Makes altered copies of a document, the same ones in whatever order documents come."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from model.corpus.augmentation import words
from model.corpus.augmentation.config import AugmentationConfig
from model.corpus.augmentation.translation import back_translate
from model.corpus.augmentation.typos import make_typos
from model.randomness import python_generator

OPERATIONS: dict[str, Callable[[Any, str, random.Random], str]] = {
    "synonyms": words.replace_synonyms,
    "insert_synonyms": words.insert_synonyms,
    "swap_words": words.swap_words,
    "delete_words": words.delete_words,
    "mask_words": words.mask_words,
    "replace_words": words.replace_words,
    "shuffle_words": words.shuffle_words,
    "shuffle_sentences": words.shuffle_sentences,
    "typos": make_typos,
    "back_translate": back_translate,
}


class Augmenter:
    """Makes the copies that an `AugmentationConfig` asks for; holds no state between documents.

    Args:
        config: What is done to a copy.
        seed: Added to the configured seed's draws, so that two corpora can differ; 0 changes nothing.
    """

    def __init__(self, config: AugmentationConfig, seed: int = 0) -> None:
        self.config = config
        self._seed = seed

    def variants(self, document_id: str, text: str) -> list[str]:
        """The altered copies of one document; every draw depends on seed, id, number of the copy and operation only.

        A copy that came out like the text, or blank, is left out: it would teach nothing.
        """
        found = []
        for number in range(1, self.config.variants + 1):
            altered = text
            for place, operation in enumerate(self.config.operations):
                r = python_generator(self.config.seed, "augment", self._seed, document_id, number, place)
                altered = OPERATIONS[operation.operation](operation, altered, r)
            if altered != text and altered.strip() and altered not in found:
                found.append(altered)
        return found

    @property
    def names(self) -> str:
        """The operations' names, for a copy's metadata."""
        return "+".join(operation.operation for operation in self.config.operations)
