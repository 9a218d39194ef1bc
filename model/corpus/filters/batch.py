"""What filters share: a batch of texts, cut into words once, and what a filter says of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from model.corpus.segmentation import Segmented


@dataclass(frozen=True)
class Batch:
    """Texts on their way through the filters.

    Attributes:
        texts: The texts as they are now.
        languages: Their language tags.
        alive: (n_texts,) bool, false for those that an earlier filter dropped.
    """

    texts: Sequence[str]
    languages: Sequence[str]
    alive: NDArray[np.bool_]

    @functools.cached_property
    def segmented(self) -> Segmented:
        """The texts cut into words and lines; done when the first filter asks."""
        from model.corpus.segmentation import segment  # compiled kernels: not for those who only read a configuration

        return segment(self.texts)

    @functools.cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Characters of each text: (n_texts,)."""
        return np.array([len(text) for text in self.texts], dtype=np.int64)


@dataclass(frozen=True)
class Judgement:
    """What a filter says of a batch.

    Attributes:
        rules: (n_texts,) int, the number of the rule (from 0, in the filter's order) that drops a text; -1 keeps it.
        texts: Texts that the filter changed, by index.
        languages: Language tags that the filter corrected, by index.
    """

    rules: NDArray[np.int64]
    texts: dict[int, str] = field(default_factory=dict)
    languages: dict[int, str] = field(default_factory=dict)


class TextFilter(Protocol):
    """A filter: the meanings of its rules by name, in the order in which they are tried, and its judgement."""

    rules: dict[str, str]

    def judge(self, batch: Batch) -> Judgement:
        """Judge the texts that are alive; what is said of others does not matter."""
        ...


def first_rule(broken: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The number of the first rule that a text breaks, -1 for none.

    Args:
        broken: For each rule, which texts break it: (n_texts,) bool each.
    """
    table = np.stack(broken)
    return np.where(table.any(axis=0), table.argmax(axis=0), -1)


def exceeds(part: NDArray[np.int64], whole: NDArray[np.int64], most: float | None) -> NDArray[np.bool_]:
    """Where part / whole is above a limit; nowhere without a limit or a whole."""
    if most is None:
        return np.zeros(len(part), bool)
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return shares > most


def falls_short(part: NDArray[np.int64], whole: NDArray[np.int64], least: float | None) -> NDArray[np.bool_]:
    """Where part / whole is below a limit; nowhere without a limit or a whole."""
    if least is None:
        return np.zeros(len(part), bool)
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.inf), where=whole > 0)
    return shares < least
