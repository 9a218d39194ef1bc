"""Overlap of training documents with an index, counted batch by batch; counts of several workers can be merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.corpus.contamination.ngram_index import NgramIndex
from model.corpus.near_duplicates.words import CodePoints, Words, words_of

EVIDENCE_CHARACTERS = 300


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """A document that holds part of an item; the smaller, the worse.

    Attributes:
        missing: Share of the item's runs that the document does not hold.
        runs: Number of the item's runs that it holds, negative so that more come first.
        position: The document's position in the corpus.
        item: The item's number in the index.
        document: The document's id.
        shared: The longest stretch of the document's text that is in the item, shortened.
    """

    missing: float
    runs: int
    position: int
    item: int
    document: str
    shared: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the documents of one batch share with an index.

    Attributes:
        runs: (n_texts,) int64, different indexed runs in each document.
        holds_item: (n_texts,) bool, whether it holds `minimum_share` of some item's runs: removable.
    """

    runs: np.ndarray
    holds_item: np.ndarray


class ContaminationCount:
    """Which runs of an index were found in training text, and the worst documents of each benchmark."""

    def __init__(self, index: NgramIndex, *, minimum_share: float = 0.7, examples: int = 5) -> None:
        """Begin with nothing found; see `ContaminationConfig` for the settings."""
        self.index = index
        self.minimum_share = minimum_share
        self.found = np.zeros(len(index.hashes), bool)
        self.documents = 0
        self.overlapping_documents = 0
        self.holding_documents = 0
        self.scanned_words = 0
        self.worst: defaultdict[int, list[Evidence]] = defaultdict(list)
        self._examples = examples

    def __getstate__(self) -> dict[str, object]:
        """Without the index, which every worker has: results of workers are small."""
        return {**self.__dict__, "index": None}

    def add(self, texts: CodePoints, ids: Sequence[str], *, first_position: int, words: Words | None = None) -> Overlap:
        """Count a batch of training documents.

        Args:
            texts: Their code points; some megabytes at once.
            ids: Their ids.
            first_position: Position of the first of them in the whole corpus, so that results do not depend on how
                it was divided.
            words: Their words by `words_of`, where several counts take the same texts.
        """
        words = words_of(texts) if words is None else words
        n_texts = len(words.starts) - 1
        hits = self.index.find(words)
        self.documents += n_texts
        self.scanned_words += len(words.hashes)
        runs, holds_item = np.zeros(n_texts, np.int64), np.zeros(n_texts, bool)
        if len(hits):
            self.found[hits[:, 2]] = True
            begins = np.searchsorted(hits[:, 0], np.arange(n_texts + 1))
            for text in np.unique(hits[:, 0]).tolist():
                places = np.unique(hits[begins[text] : begins[text + 1], 2])
                runs[text] = len(places)
                items, shares, counts = self._shares(places)
                holds_item[text] = bool((shares >= self.minimum_share).any())
                self._remember(texts, text, hits[begins[text] : begins[text + 1]], (items, shares, counts),
                               ids[text], first_position + text)  # fmt: skip
        self.overlapping_documents += int((runs > 0).sum())
        self.holding_documents += int(holds_item.sum())
        return Overlap(runs, holds_item)

    def merge(self, other: ContaminationCount) -> None:
        """Add what another count with the same index has found."""
        self.found |= other.found
        self.documents += other.documents
        self.overlapping_documents += other.overlapping_documents
        self.holding_documents += other.holding_documents
        self.scanned_words += other.scanned_words
        for benchmark, evidence in other.worst.items():
            self.worst[benchmark] = _first_of_items(self.worst[benchmark] + evidence, self._examples)

    def _shares(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items that have some of these runs, the shares of their runs, and how many."""
        index = self.index
        begins, ends = index.item_starts[places], index.item_starts[places + 1]
        counts = ends - begins
        at = np.repeat(begins - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
        items, n_runs = np.unique(index.items[at], return_counts=True)
        return items, n_runs / (index.ngram_starts[items + 1] - index.ngram_starts[items]), n_runs

    def _remember(
        self, texts: CodePoints, text: int, hits: np.ndarray, held: tuple[np.ndarray, np.ndarray, np.ndarray],
        name: str, position: int,
    ) -> None:  # fmt: skip
        if not self._examples:
            return
        items, shares, counts = held
        benchmarks = self.index.benchmark_of[items]
        for benchmark in np.unique(benchmarks).tolist():
            of_it = np.flatnonzero(benchmarks == benchmark)
            best = of_it[np.lexsort((items[of_it], -counts[of_it], -shares[of_it]))[0]]
            item = int(items[best])
            evidence = Evidence(1 - float(shares[best]), -int(counts[best]), position, item, name, "")
            worst = self.worst[benchmark]
            if len(worst) == self._examples and evidence > worst[-1]:
                continue
            if any(known.item == item and known < evidence for known in worst):
                continue
            begin, end = self.index.ngram_starts[item : item + 2]
            shared = _longest_stretch(texts, text, hits, self.index.ngrams[begin:end], self._width(item))
            evidence = Evidence(evidence.missing, evidence.runs, position, item, name, shared)
            self.worst[benchmark] = _first_of_items([*worst, evidence], self._examples)

    def _width(self, item: int) -> int:
        return min(self.index.n, int(self.index.item_words[item]))


def _first_of_items(evidence: list[Evidence], n: int) -> list[Evidence]:
    """The worst evidence, one for each item."""
    chosen: dict[int, Evidence] = {}
    for one in sorted(evidence):
        chosen.setdefault(one.item, one)
    return list(chosen.values())[:n]


def _longest_stretch(texts: CodePoints, text: int, hits: np.ndarray, ngrams: np.ndarray, width: int) -> str:
    """The longest run of words of a text that are covered by an item's runs, as it stands there."""
    places = np.sort(hits[np.isin(hits[:, 2], ngrams), 1])
    breaks = np.flatnonzero(np.diff(places) > 1)
    begins, ends = places[np.r_[0, breaks + 1]], places[np.r_[breaks, len(places) - 1]] + width
    longest = int(np.argmax(ends - begins))
    first, last = texts.text_starts[text], texts.text_starts[text + 1]
    characters = texts.characters[first:last]
    spans = words_of(_One(characters), with_spans=True).spans
    begin, end = int(spans[begins[longest], 0]), int(spans[ends[longest] - 1, 1])
    found = characters[begin:end].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return found if len(found) <= EVIDENCE_CHARACTERS else found[:EVIDENCE_CHARACTERS].rsplit(None, 1)[0] + " ..."


class _One:
    """A single text as code points."""

    def __init__(self, characters: np.ndarray) -> None:
        self.characters = characters
        self.text_starts = np.array([0, len(characters)], np.int64)
