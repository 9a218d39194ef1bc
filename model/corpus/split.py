"""Train, validation and test: by a stable hash of each document's id, or by its date (`split_by_time.py`).

By hash neither order nor neighbours matter: adding or removing documents moves no other document to another split. Only
where so few are left that a split would stay empty, single documents move into it.
Documents of one cluster of near-duplicates are given one key, so a cluster never lies on two sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from model.corpus.config import CleanConfig
from model.corpus.selection import stable_hash
from model.corpus.split_by_time import Boundaries
from model.errors import CorpusError

SPLITS = ("train", "validation", "test")
LEAST_CUT, MOST_PARTS = 100, 8


def split_position(name: str, seed: int) -> float:
    """Where a document's id falls in [0, 1): test comes first, then validation, then train."""
    return stable_hash("split", seed, name) / 2**64


def split_of(position: float, test_fraction: float, validation_fraction: float) -> str:
    """The split of a document from its position."""
    if position < test_fraction:
        return "test"
    return "validation" if position < test_fraction + validation_fraction else "train"


class Splitter:
    """Assigns documents to splits and can say, if one stays empty, what would fill it.

    Args:
        config: Fractions and seed.
        boundaries: Where time is cut, from `find_boundaries`; None splits by hash.
    """

    def __init__(self, config: CleanConfig, boundaries: Boundaries | None = None) -> None:
        self._config = config
        self._boundaries = boundaries
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
        return split

    def empty(self) -> list[str]:
        """The splits that no document fell into."""
        return [split for split in SPLITS if not self.documents[split]]

    def check(self, longest: int = 0) -> None:
        """Make sure that every split has a document.

        Args:
            longest: Characters of the longest document, for the advice.

        Raises:
            CorpusError: One has none; the message says what gives it one.
        """
        if not self.empty():
            return
        total = sum(self.documents.values())
        if self._boundaries is not None:
            advice = "give documents other dates, or split by hash: tisslm run --set clean.split=hash"
        elif longest >= LEAST_CUT * MOST_PARTS:
            advice = (
                "add texts, or let long ones become several documents: tisslm run --set "
                f"ingest.max_document_characters={longest // MOST_PARTS}"
            )
        else:
            advice = "add texts"
        raise CorpusError(
            f"clean: the {self.empty()[-1]} split is empty: {total:,} different documents are left, expected at least "
            f"{len(SPLITS)}, one each for training, validation and test; {advice}"
        )


def fill_splits(names: Iterable[str], config: CleanConfig, train_is_filled: bool = False) -> dict[str, str]:
    """Where some of few documents go so that each split gets one: the new splits of those that move.

    Only where the hash leaves a split empty; the one whose hash is nearest to the empty split moves, from a split that
    keeps another.

    Args:
        names: The ids (of clusters: of the first document).
        config: Fractions and seed.
        train_is_filled: Documents that are not named train.
    """
    positions = {name: split_position(name, config.split_seed) for name in names}
    ordered = sorted(positions, key=lambda name: (positions[name], name))
    fractions = config.test_fraction, config.validation_fraction
    splits = {name: split_of(positions[name], *fractions) for name in ordered}
    before = dict(splits)
    for split in ("test", "validation", "train"):
        sizes = Counter(splits.values())
        if sizes[split] or (split == "train" and train_is_filled):
            continue
        spare = {
            other for other in SPLITS if sizes[other] > 1 or (other == "train" and train_is_filled and sizes[other])
        }
        above = [name for name in ordered if splits[name] in spare and SPLITS.index(splits[name]) < SPLITS.index(split)]
        below = [name for name in ordered if splits[name] in spare and name not in above]
        if chosen := (above[:1] or below[-1:]):
            splits[chosen[0]] = split
    return {name: split for name, split in splits.items() if split != before[name]}
