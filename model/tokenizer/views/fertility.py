"""Tokens per word for each language or source: who pays more for the same text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from model.tokenizer.statistics import BATCH_CHARACTERS
from model.tokenizer.tokenizer import Tokenizer


@dataclass
class GroupFertility:
    """Counts over the texts of one group.

    Attributes:
        group: Name of the language or source.
        documents: Texts.
        words: Words between white space; languages that write none have few, so compare their bytes per token.
        characters: Unicode code points.
        bytes: UTF-8 bytes.
        tokens: Tokens of the texts.
    """

    group: str
    documents: int = 0
    words: int = 0
    characters: int = 0
    bytes: int = 0
    tokens: int = 0

    @property
    def fertility(self) -> float:
        """Tokens per word (Rust et al. 2021, arXiv:2012.15613)."""
        return self.tokens / max(1, self.words)

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes per token."""
        return self.bytes / max(1, self.tokens)

    @property
    def characters_per_token(self) -> float:
        """Code points per token."""
        return self.characters / max(1, self.tokens)

    def row(self) -> dict[str, str | int | float]:
        """For a table."""
        return {
            "group": self.group,
            "documents": self.documents,
            "words": self.words,
            "tokens": self.tokens,
            "tokens per word": round(self.fertility, 3),
            "characters per token": round(self.characters_per_token, 3),
            "bytes per token": round(self.bytes_per_token, 3),
        }


def fertility_by_group(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]]) -> list[GroupFertility]:
    """Count (group, text) pairs, read once, about a million characters in memory; most tokens per word first."""
    found: dict[str, GroupFertility] = {}
    batch: dict[str, list[str]] = defaultdict(list)
    held = 0

    def count() -> None:
        for group, held_texts in batch.items():
            found[group].tokens += sum(len(ids) for ids in tokenizer.encode_arrays(held_texts))
        batch.clear()

    for group, text in texts:
        counts = found.setdefault(group, GroupFertility(group))
        counts.documents += 1
        counts.words += len(text.split())
        counts.characters += len(text)
        counts.bytes += len(text.encode("utf-8", "surrogatepass"))
        batch[group].append(text)
        held += len(text)
        if held >= BATCH_CHARACTERS:
            count()
            held = 0
    count()
    return sorted(found.values(), key=lambda counts: (-counts.fertility, counts.group))
