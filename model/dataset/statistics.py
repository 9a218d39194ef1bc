"""What the tokens of a split look like: how long its tokens and its documents are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.statistics import token_lengths
from model.tokenizer.tokenizer import Tokenizer

Row = dict[str, float | int]


@dataclass
class SplitStatistics:
    """Counts that grow document by document, in fixed memory.

    Attributes:
        uses: (vocab_size,) int64, how often each id occurs.
        documents: (64,) int64, documents by the power of two that their number of tokens reaches.
    """

    uses: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, vocab_size: int) -> SplitStatistics:
        """Nothing counted yet."""
        return cls(np.zeros(vocab_size, np.int64), np.zeros(64, np.int64))

    def add(self, ids: npt.NDArray[Any]) -> None:
        """Count a document by the ids of its text: (length,) integers."""
        self.uses += np.bincount(ids, minlength=len(self.uses))
        self.documents[max(0, len(ids).bit_length() - 1)] += 1


def token_length_rows(splits: Mapping[str, SplitStatistics], tokenizer: Tokenizer) -> list[Row]:
    """Share of each split's tokens by their length in bytes, one row for each length of the vocabulary."""
    lengths = token_lengths(tokenizer)
    shares = {
        split: np.bincount(lengths, weights=counts.uses) / max(1, int(counts.uses.sum()))
        for split, counts in splits.items()
    }
    return [
        {"bytes": int(length), **{split: round(float(share[length]), 6) for split, share in shares.items()}}
        for length in np.unique(lengths[lengths > 0])
    ]


def document_length_rows(splits: Mapping[str, SplitStatistics]) -> list[Row]:
    """Documents of each split with at least 1, 2, 4, 8 ... tokens and fewer than twice as many."""
    filled = np.flatnonzero(sum(counts.documents for counts in splits.values()))
    return [
        {"at_least_tokens": 2**power, **{split: int(counts.documents[power]) for split, counts in splits.items()}}
        for power in range(int(filled[-1]) + 1 if len(filled) else 0)
    ]
