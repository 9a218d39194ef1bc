"""What a loader has given: tokens and epochs of each group beside what was asked for, and how full windows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model.dataset.config import AsIsMixture
from model.dataset.loader import BatchLoader
from model.dataset.packing import cut_documents, pack
from model.randomness import numpy_generator

PLOTTED_GROUPS = 8

Row = dict[str, Any]


def mixture_rows(loader: BatchLoader) -> list[Row]:
    """One row for each source and language: its share of the corpus, the share asked for, what was seen of it."""
    realised = loader.realised()
    corpus, seen = sum(group.tokens for group in realised), sum(tokens for tokens, _ in realised.values())
    mixture = loader.data.mixture
    members: dict[str, int] = {}
    if not isinstance(mixture, AsIsMixture):
        for group in realised:
            members[group.key(mixture.by)] = members.get(group.key(mixture.by), 0) + group.tokens
    rows = []
    for group, (tokens, epochs) in realised.items():
        share = group.tokens / max(1, corpus)
        if isinstance(mixture, AsIsMixture):
            asked = share
        else:
            key = group.key(mixture.by)
            asked = loader.shares[key] * group.tokens / max(1, members[key])
        rows.append(
            {
                "source": group.source,
                "language": group.language,
                "tokens": group.tokens,
                "share": round(share, 6),
                "asked": round(asked, 6),
                "seen": round(tokens / max(1, seen), 6),
                "tokens_seen": tokens,
                "epochs": round(epochs, 4),
            }
        )
    return sorted(rows, key=lambda row: -row["tokens"])


def mixture_series(loader: BatchLoader, history: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The share of all tokens seen so far over the steps: the largest groups, and the rest together."""
    groups = loader.dataset.groups
    largest = sorted(range(len(groups)), key=lambda index: -groups[index].tokens)[:PLOTTED_GROUPS]
    rows = []
    for entry in history:
        if "mixture" not in entry:
            continue
        counts, total = entry["mixture"], max(1, sum(entry["mixture"]))
        row: Row = {"step": entry["step"]}
        row |= {groups[index].key("source_language"): round(counts[index] / total, 6) for index in largest}
        if len(groups) > len(largest):
            row["others"] = round(1 - sum(counts[index] for index in largest) / total, 6)
        rows.append(row)
    return rows


def packing_facts(loader: BatchLoader) -> dict[str, Any]:
    """How full best-fit windows are and how many documents they cut; nothing for windows cut where they fall."""
    if loader.data.packing.documents != "best_fit":
        return {}
    packed = pack(
        loader.dataset.offsets, loader.context_length, numpy_generator(loader.seed, "windows", 0), shuffled=True
    )
    counts = cut_documents(loader.dataset.offsets, loader.context_length)
    return {"packing": {"windows": packed.n_windows, "utilisation": round(packed.utilisation, 6), **counts}}
