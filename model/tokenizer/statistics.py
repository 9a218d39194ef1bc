"""How well a tokenizer fits texts: tokens per word, bytes per token, how much of the vocabulary is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.tokenizer import Tokenizer

BATCH_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class TokenStatistics:
    """Counts over some texts.

    Attributes:
        n_documents: Texts measured.
        n_words: Words between white space.
        n_bytes: UTF-8 bytes.
        n_tokens: Tokens of the texts, special tokens not counted.
        uses: (vocab_size,) int64, how often each id occurs.
        n_special: Ids that no text can have.
    """

    n_documents: int
    n_words: int
    n_bytes: int
    n_tokens: int
    uses: npt.NDArray[np.int64]
    n_special: int

    @property
    def fertility(self) -> float:
        """Tokens per word (Rust et al. 2021, arXiv:2012.15613); 1 is the least for text with few symbols."""
        return self.n_tokens / max(1, self.n_words)

    @property
    def bytes_per_token(self) -> float:
        """Mean bytes of text behind a token; more means shorter sequences."""
        return self.n_bytes / max(1, self.n_tokens)

    @property
    def vocabulary_use(self) -> float:
        """Share of the ids, special tokens left out, that occur at least once."""
        return int(np.count_nonzero(self.uses)) / (len(self.uses) - self.n_special)


def measure(tokenizer: Tokenizer, texts: Iterable[str], max_characters: int | None = None) -> TokenStatistics:
    """Encode texts and count; stops after the document that reaches `max_characters`."""
    uses = np.zeros(tokenizer.vocab_size, np.int64)
    documents = words = size = characters = 0
    batch: list[str] = []
    held = 0

    def count() -> None:
        for ids in tokenizer.encode_arrays(batch):
            uses[:] += np.bincount(ids, minlength=len(uses))

    for text in texts:
        batch.append(text)
        documents += 1
        words += len(text.split())
        size += len(text.encode("utf-8"))
        characters += len(text)
        held += len(text)
        if held >= BATCH_CHARACTERS:
            count()
            batch, held = [], 0
        if max_characters is not None and characters >= max_characters:
            break
    count()
    return TokenStatistics(documents, words, size, int(uses.sum()), uses, len(tokenizer.special_tokens))


def token_lengths(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Bytes of every id, (vocab_size,) int64; 0 for special tokens."""
    return np.array([len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)], np.int64)


def length_rows(tokenizer: Tokenizer, uses: npt.NDArray[np.int64]) -> list[dict[str, float | int]]:
    """For each length of a token: how many ids have it, and what share of the text's tokens they make."""
    lengths = token_lengths(tokenizer)
    total = max(1, int(uses.sum()))
    return [
        {
            "bytes": int(length),
            "ids": int(np.count_nonzero(lengths == length)),
            "share_of_tokens": round(float(uses[lengths == length].sum()) / total, 6),
        }
        for length in np.unique(lengths[lengths > 0])
    ]


def rank_rows(uses: npt.NDArray[np.int64], points: int = 100) -> list[dict[str, int]]:
    """Uses of the ids by rank, the most used first, at about `points` ranks spaced evenly on a logarithmic axis."""
    ordered = np.sort(uses)[::-1]
    ranks = np.unique(np.geomspace(1, len(ordered), points).round().astype(np.int64))
    return [{"rank": int(rank), "uses": int(ordered[rank - 1])} for rank in ranks]


def longest_tokens(tokenizer: Tokenizer, uses: npt.NDArray[np.int64], n: int = 20) -> list[dict[str, Any]]:
    """The ids with the most bytes, and how often the measured text uses them."""
    lengths = token_lengths(tokenizer)
    return [
        {
            "id": int(i),
            "token": repr(tokenizer.decode([int(i)])),
            "bytes": int(lengths[i]),
            "uses": int(uses[i]),
        }
        for i in np.lexsort((np.arange(len(lengths)), -lengths))[:n]
    ]
