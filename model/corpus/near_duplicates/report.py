"""What near deduplication found: how many copies, in clusters of which sizes, and the largest ones to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from model.corpus.near_duplicates.cluster_kernels import equal_values
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.signatures import estimate, unpacked

EXCERPT_CHARACTERS = 120


class Note(NamedTuple):
    """What a report says about a document."""

    id: str
    source: str
    excerpt: str


def excerpt_of(text: str) -> str:
    """The beginning of a text on one line."""
    return " ".join(text[: 4 * EXCERPT_CHARACTERS].split())[:EXCERPT_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster.

    Attributes:
        note: Id, source and beginning.
        similarity: Estimated Jaccard similarity to the cluster's first document, 1.0 for the first itself.
        kept: Whether it stays.
        is_equal: Whether an earlier document has exactly the same text.
    """

    note: Note
    similarity: float
    kept: bool
    is_equal: bool


@dataclass(frozen=True)
class DuplicateReport:
    """Copies found in a corpus.

    Attributes:
        documents: All documents.
        kept: Documents that stay.
        exact_copies: Dropped documents whose very text came before.
        near_copies: Other dropped documents.
        clusters: Clusters of two documents and more.
        within_sources: Clusters whose documents all come from one source.
        across_sources: Clusters over several sources.
        sizes: How many clusters have 2, 3, 4, 5-8, 9-16, ... documents: (smallest, largest, clusters).
        largest: The largest clusters, each with its size and first members.
        dropped_ids: The ids of all dropped documents in order, if they were asked for.
    """

    documents: int
    kept: int
    exact_copies: int
    near_copies: int
    clusters: int
    within_sources: int
    across_sources: int
    sizes: tuple[tuple[int, int, int], ...]
    largest: tuple[tuple[int, tuple[Member, ...]], ...]
    dropped_ids: tuple[str, ...] = field(default=(), repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """The members of the largest clusters, one row each, for a table."""
        return [
            {
                "cluster": number,
                "size": size,
                "id": member.note.id,
                "source": member.note.source,
                "similarity": round(member.similarity, 3),
                "kept": member.kept,
                "equal": member.is_equal,
                "begins": member.note.excerpt,
            }
            for number, (size, members) in enumerate(self.largest, 1)
            for member in members
        ]

    def summary_rows(self) -> list[dict[str, Any]]:
        """The counts, one row each: what and how many."""
        names = (
            "documents", "kept", "exact_copies", "near_copies", "clusters", "within_sources", "across_sources",
        )  # fmt: skip
        rows = [{"what": name.replace("_", " "), "n": getattr(self, name)} for name in names]
        for smallest, most, n in self.sizes:
            size = str(smallest) if smallest == most else f"{smallest:,}-{most:,}"
            rows.append({"what": f"clusters of {size}", "n": n})
        return rows


def build_report(
    labels: np.ndarray,
    kept: np.ndarray,
    exact_of: np.ndarray,
    sources: np.ndarray,
    note_of: Callable[[int], Note],
    signatures: np.ndarray,
    config: NearDuplicatesConfig,
    *,
    n_clusters: int = 20,
    n_members: int = 10,
    lists_dropped: bool = False,
) -> DuplicateReport:
    """Describe clusters.

    Args:
        labels: (n,) int64, each cluster's smallest index, from `joined_clusters`.
        kept: (n,) bool, from `choose_kept`.
        exact_of: (n,) int64, from `exact_first`.
        sources: (n,) integers, one for each source.
        note_of: Fetches what is shown of a document.
        signatures: (n, columns) uint32.
        config: The config that they were made with.
        n_clusters: Clusters shown.
        n_members: Documents shown of each.
        lists_dropped: Fetch the ids of all dropped documents too.
    """
    n = len(labels)
    size = np.bincount(labels, minlength=n) if n else np.empty(0, np.int64)
    heads = np.flatnonzero(size > 1)
    several = np.zeros(n, bool)
    several[labels[np.asarray(sources) != np.asarray(sources)[labels]]] = True
    order = np.argsort(labels, kind="stable")
    begins = np.searchsorted(labels[order], heads)
    shown = sorted(range(len(heads)), key=lambda k: (-int(size[heads[k]]), int(heads[k])))[:n_clusters]
    values = unpacked(signatures, config)

    def member(i: int, head: int) -> Member:
        matches = equal_values(values, head, i)
        similarity = 1.0 if i == head else max(0.0, float(estimate(matches, config)))
        return Member(note_of(i), similarity, bool(kept[i]), bool(exact_of[i] != i))

    is_exact = ~kept & (exact_of != np.arange(n))
    return DuplicateReport(
        documents=n,
        kept=int(kept.sum()),
        exact_copies=int(is_exact.sum()),
        near_copies=int((~kept & ~is_exact).sum()),
        clusters=len(heads),
        within_sources=int((~several[heads]).sum()),
        across_sources=int(several[heads].sum()),
        sizes=_sizes(size[heads]),
        largest=tuple(
            (
                int(size[heads[k]]),
                tuple(member(int(i), int(heads[k])) for i in order[begins[k] :][: min(n_members, size[heads[k]])]),
            )
            for k in shown
        ),
        dropped_ids=tuple(note_of(int(i)).id for i in np.flatnonzero(~kept)) if lists_dropped else (),
    )


def _sizes(sizes: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """A histogram with bins 2, 3, 4, 5-8, 9-16, and so on."""
    bins, smallest = [], 2
    while len(sizes) and smallest <= sizes.max():
        largest = smallest if smallest < 4 else 4 if smallest == 4 else 2 * (smallest - 1)
        n = int(((sizes >= smallest) & (sizes <= largest)).sum())
        if n:
            bins.append((smallest, largest, n))
        smallest = largest + 1
    return tuple(bins)
