"""An index of the runs of n words in the items of benchmarks, as 64-bit hashes.

False hits: a run of training text that is in no item has an indexed hash with probability m / 2^64 for m indexed runs,
so that a corpus of T runs has T m / 2^64 of them: 0.002 for ten thousand million words and four million runs. The
examples that a report shows are compared as words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model.corpus.contamination.items import Item
from model.corpus.contamination.ngram_search import bloom_filter, find_runs, find_short
from model.corpus.near_duplicates.shingles import windows
from model.corpus.near_duplicates.words import Words, characters_of, words_of

BATCH_CHARACTERS = 1_000_000
ITEMS_OF_AN_NGRAM = 64
WHOLE_RANGE = 1 << 64


@dataclass(frozen=True)
class NgramIndex:
    """The runs of all items, each once. Arrays only, so that it can be sent to other processes.

    Attributes:
        n: Words in a run.
        benchmarks: Names, in the order of their first item.
        item_ids: One for each item.
        benchmark_of: (n_items,) int32, number in `benchmarks`.
        item_words: (n_items,) int64.
        hashes: (m,) uint64, sorted.
        ngrams: Places in `hashes` of each item's different runs, int32, item after item.
        ngram_starts: (n_items + 1,) int64 into `ngrams`.
        items: Items of each run, the first 64 at most, int32, run after run.
        item_starts: (m + 1,) int64 into `items`.
        filter_words: (2^k,) uint64, a Bloom filter of the hashes.
        short_widths: (n_widths,) int64, lengths of the items shorter than a run, which are looked for whole.
        prefix_words: Words by which these are looked up first.
        prefix_filter: (2^k,) uint64, a Bloom filter of their first words.
        sampled: Share of the runs that are indexed: 1.0 unless there were more than allowed.
    """

    n: int
    benchmarks: tuple[str, ...]
    item_ids: tuple[str, ...]
    benchmark_of: np.ndarray
    item_words: np.ndarray
    hashes: np.ndarray
    ngrams: np.ndarray
    ngram_starts: np.ndarray
    items: np.ndarray
    item_starts: np.ndarray
    filter_words: np.ndarray
    short_widths: np.ndarray
    prefix_words: int
    prefix_filter: np.ndarray
    sampled: float

    @classmethod
    def build(cls, items: Iterable[Item], n: int, *, least_words: int = 5, max_ngrams: int = 4_000_000) -> NgramIndex:
        """Index the runs of `n` words of items, read once.

        Args:
            items: Benchmarks' items, those of one benchmark together or not.
            n: Words in a run.
            least_words: Items of fewer than n words are indexed whole from this length on, shorter ones not at all.
            max_ngrams: If there are more runs, those with the smallest hashes are kept: an even sample, the same for
                every text. Whole items are always kept.
        """
        names: dict[str, int] = {}
        ids: list[str] = []
        benchmark_of: list[int] = []
        runs = _Runs(max_ngrams)
        lengths: list[np.ndarray] = []
        prefix_words = min(n, least_words)
        prefixes = [np.empty(0, np.uint64)]
        for batch in _batches(items):
            for item in batch:
                benchmark_of.append(names.setdefault(item.benchmark, len(names)))
                ids.append(item.id)
            words = words_of(characters_of([item.text for item in batch]))
            n_words = np.diff(words.starts)
            found = windows(words, n)
            of_item = np.repeat(np.arange(len(batch)), np.diff(found.starts))
            is_used = n_words[of_item] >= prefix_words
            is_whole = n_words[of_item] < n
            first_item = len(ids) - len(batch)
            runs.add(found.hashes[is_used], of_item[is_used] + first_item, is_whole[is_used])
            lengths.append(n_words)
            is_short = (n_words >= prefix_words) & (n_words < n)
            beginnings = windows(words, prefix_words)
            prefixes.append(np.unique(beginnings.hashes[beginnings.starts[:-1][is_short]]))
        item_words = np.concatenate([np.empty(0, np.int64), *lengths])
        short = np.unique(item_words[(item_words >= prefix_words) & (item_words < n)])
        hashes, ngrams, ngram_starts = runs.by_item(len(ids))
        kept_items, item_starts = _items_of_ngrams(ngrams, ngram_starts, len(hashes))
        prefix_filter = bloom_filter(np.concatenate(prefixes))
        return cls(
            n, tuple(names), tuple(ids), np.array(benchmark_of, np.int32), item_words, hashes, ngrams, ngram_starts,
            kept_items, item_starts, bloom_filter(hashes), short, prefix_words, prefix_filter,
            runs.cutoff / WHOLE_RANGE,
        )  # fmt: skip

    def find(self, words: Words) -> np.ndarray:
        """All indexed runs in texts: (n_hits, 3) int64: text, first word's place in the text, place in `hashes`."""
        if not len(self.hashes):
            return np.empty((0, 3), np.int64)
        hits = find_runs(words, self.n, self.hashes, self.filter_words)
        if len(self.short_widths):
            short = find_short(words, self.short_widths, self.hashes, self.prefix_words, self.prefix_filter)
            hits = np.concatenate([hits, short])
        return hits[np.argsort(hits[:, 0], kind="stable")]


class _Runs:
    """The runs of items, thinned out whenever there are too many."""

    def __init__(self, most: int) -> None:
        self.cutoff = WHOLE_RANGE
        self._most = most
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n = 0

    def add(self, hashes: np.ndarray, items: np.ndarray, is_whole: np.ndarray) -> None:
        part = self._below(hashes, items, is_whole)
        order = np.lexsort((part[0], part[1]))
        hashes, items, is_whole = (column[order] for column in part)
        is_new = np.ones(len(order), bool)
        is_new[1:] = (hashes[1:] != hashes[:-1]) | (items[1:] != items[:-1])
        part = hashes[is_new], items[is_new], is_whole[is_new]
        self._parts.append(part)
        self._n += len(part[0])
        while self._n > self._most and self.cutoff > 1 << 32:
            self.cutoff //= 2
            self._parts = [self._below(*part) for part in self._parts]
            self._n = sum(len(part[0]) for part in self._parts)

    def by_item(self, n_items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All different hashes, sorted; each item's places in them; and where each item's begin."""
        hashes = np.concatenate([np.empty(0, np.uint64), *(part[0] for part in self._parts)])
        items = np.concatenate([np.empty(0, np.int64), *(part[1] for part in self._parts)])
        different, places = np.unique(hashes, return_inverse=True)
        starts = np.searchsorted(items, np.arange(n_items + 1))
        return different, places.astype(np.int32), starts.astype(np.int64)

    def _below(
        self, hashes: np.ndarray, items: np.ndarray, is_whole: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kept = is_whole | (hashes <= np.uint64(self.cutoff - 1))
        return hashes[kept], items[kept], is_whole[kept]


def _items_of_ngrams(ngrams: np.ndarray, ngram_starts: np.ndarray, n_hashes: int) -> tuple[np.ndarray, np.ndarray]:
    """For each run the first items that have it, and where each run's begin."""
    items = np.repeat(np.arange(len(ngram_starts) - 1, dtype=np.int32), np.diff(ngram_starts))
    order = np.argsort(ngrams, kind="stable")
    starts = np.searchsorted(ngrams[order], np.arange(n_hashes + 1))
    rank = np.arange(len(order)) - starts[ngrams[order]]
    kept = rank < ITEMS_OF_AN_NGRAM
    counts = np.minimum(np.diff(starts), ITEMS_OF_AN_NGRAM)
    return items[order[kept]], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _batches(items: Iterable[Item]) -> Iterable[list[Item]]:
    batch: list[Item] = []
    n = 0
    for item in items:
        batch.append(item)
        n += len(item.text)
        if n >= BATCH_CHARACTERS:
            yield batch
            batch, n = [], 0
    if batch:
        yield batch
