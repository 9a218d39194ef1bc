"""Train, validation and test: by a stable hash of each document's id, or by its date (`split_by_time.py`).

By hash neither order nor neighbours matter: adding or removing documents moves no other document to another split.
Documents of one cluster of near-duplicates are given one key, so a cluster never lies on two sides.
"""

from __future__ import annotations

import math

from model.corpus.config import CleanConfig
from model.corpus.selection import stable_hash
from model.corpus.split_by_time import Boundaries
from model.errors import CorpusError

SPLITS = ("train", "validation", "test")
LARGEST_FRACTION = 0.45


def split_position(name: str, seed: int) -> float:
    """Where a document's id falls in [0, 1): test comes first, then validation, then train."""
    return stable_hash("split", seed, name) / 2**64


def split_of(position: float, test_fraction: float, validation_fraction: float) -> str:
    """The split of a document from its position."""
    if position < test_fraction:
        return "test"
    return "validation" if position < test_fraction + validation_fraction else "train"


class Splitter:
    """Assigns documents to splits and can say, if one stays empty, which setting would fill it.

    Args:
        config: Fractions and seed.
        boundaries: Where time is cut, from `find_boundaries`; None splits by hash.
    """

    def __init__(self, config: CleanConfig, boundaries: Boundaries | None = None) -> None:
        self._config = config
        self._boundaries = boundaries
        self._smallest = dict.fromkeys(SPLITS, math.inf)
        self.documents = dict.fromkeys(SPLITS, 0)

    def split(self, name: str, created: str = "") -> str:
        """The split of a document.

        Args:
            name: Its id, or the id of the first document of its cluster of near-duplicates.
            created: Its date, or the earliest of its cluster; only a split by time looks at it.
        """
        config = self._config
        if self._boundaries is not None:
            split = self._boundaries.split(created)
            self.documents[split] += 1
            return split
        position = split_position(name, config.split_seed)
        split = split_of(position, config.test_fraction, config.validation_fraction)
        self.documents[split] += 1
        self._smallest[split] = min(self._smallest[split], position)
        return split

    def check(self) -> None:
        """Make sure that every split has a document.

        Raises:
            CorpusError: One has none; the message names the smallest fraction that would give it one.
        """
        total = sum(self.documents.values())
        for split in ("test", "validation", "train"):
            if not self.documents[split]:
                raise CorpusError(
                    f"clean: the {split} split is empty, expected at least one of {total:,} documents; "
                    f"{self._advice(split)}ingest.max_document_characters splits long files into several documents "
                    "(e.g. one big file), or add more files"
                )

    def _advice(self, split: str) -> str:
        config, smallest = self._config, self._smallest
        if self._boundaries is not None:
            return "set clean.split: hash, or give documents other dates; "
        if split == "train":
            return "lower clean.test_fraction and clean.validation_fraction; "
        if split == "test":
            needed = min(smallest["validation"], smallest["train"])
        else:
            needed = smallest["train"] - config.test_fraction
        fraction = (math.floor(needed * 1e4) + 1) / 1e4 if math.isfinite(needed) else math.inf
        present = config.test_fraction if split == "test" else config.validation_fraction
        if fraction > LARGEST_FRACTION or sum(self.documents.values()) < len(SPLITS):
            return ""
        return f"the smallest clean.{split}_fraction that puts one in is {fraction:g}, got {present:g}; "
