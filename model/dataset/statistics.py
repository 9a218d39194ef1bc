"""What the tokens of a split look like: how long its tokens and its documents are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.dataset.groups import Group
from model.tokenizer.statistics import token_lengths
from model.tokenizer.tokenizer import Tokenizer

Row = dict[str, Any]


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


def group_rows(splits: Mapping[str, Iterable[Group]]) -> list[Row]:
    """One row for each source and language over all splits, the largest first; none if there is only one.

    `bytes_per_token` says how well the tokenizer fits a language: one with half of another's needs twice its tokens for
    a text of as many bytes (Petrov et al. 2023, "Language Model Tokenizers Introduce Unfairness", arXiv:2305.15425).
    """
    rows: dict[tuple[str, str], Row] = {}
    for split, groups in splits.items():
        for group in groups:
            row = rows.setdefault(
                (group.source, group.language),
                {"source": group.source, "language": group.language, "documents": 0, "bytes": 0, "tokens": 0}
                | {f"{name}_tokens": 0 for name in splits},
            )
            row["documents"] += group.documents
            row["bytes"] += group.bytes
            row["tokens"] += group.tokens
            row[f"{split}_tokens"] += group.tokens
    if len(rows) < 2:
        return []
    filled = [row | {"bytes_per_token": round(row["bytes"] / max(1, row["tokens"]), 4)} for row in rows.values()]
    return sorted(filled, key=lambda row: (-row["tokens"], row["source"], row["language"]))
