"""Groups of documents: those of one source in one language. Mixtures draw by them, reports count by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from model.errors import IntegrityError

GROUPS = "groups.bin"


@dataclass(frozen=True)
class Group:
    """All documents of one source in one language.

    Attributes:
        source: Name of the source in `params.yaml`.
        language: Language tag.
        documents: Documents.
        tokens: Their tokens, `<|endoftext|>` before each included.
        bytes: UTF-8 bytes of their texts.
    """

    source: str
    language: str
    documents: int
    tokens: int
    bytes: int

    def key(self, by: str) -> str:
        """Its name where groups are told apart `by` source, language or source_language (`source/language`)."""
        return {"source": self.source, "language": self.language}.get(by, f"{self.source}/{self.language}")


ALL: tuple[Group, ...] = ()
"""What `read_groups` gives where no groups were written."""


@dataclass
class GroupIds:
    """Numbers groups in the order of their first documents, and counts them."""

    DTYPE: ClassVar[np.dtype[Any]] = np.dtype("<u4")
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    _sizes: list[list[int]] = field(default_factory=list)

    def add(self, source: str, language: str, tokens: int, n_bytes: int) -> bytes:
        """Count a document; returns the number of its group as it stands in `groups.bin`."""
        number = self._numbers.setdefault((source, language), len(self._sizes))
        if number == len(self._sizes):
            self._sizes.append([0, 0, 0])
        for index, count in enumerate((1, tokens, n_bytes)):
            self._sizes[number][index] += count
        return number.to_bytes(self.DTYPE.itemsize, "little")

    @property
    def named(self) -> bool:
        """Whether any document said where it comes from."""
        return any(any(names) for names in self._numbers)

    def groups(self) -> tuple[Group, ...]:
        """The groups in the order of their numbers."""
        return tuple(Group(*names, *self._sizes[number]) for names, number in self._numbers.items())


def read_groups(meta: dict[str, Any], path: Path, remedy: str) -> tuple[Group, ...]:
    """The groups in a `meta.json`; `ALL` if it has none.

    Raises:
        IntegrityError: They are damaged, or do not add up to the split.
    """
    if "groups" not in meta:
        return ALL
    try:
        groups = tuple(Group(**row) for row in meta["groups"])
        sums = {name: sum(getattr(g, name) for g in groups) for name in ("documents", "tokens", "bytes")}
    except TypeError as error:
        raise IntegrityError(f"{path}: its groups are damaged; {remedy}") from error
    for name, total in sums.items():
        if total != meta[f"n_{name}"]:
            raise IntegrityError(f"{path}: groups have {total} {name}, expected {meta[f'n_{name}']}; {remedy}")
    return groups
