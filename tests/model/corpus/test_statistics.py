"""Streaming figures agree with figures computed the plain way."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.deduplicate import DigestSet, text_digest
from model.corpus.documents import Document
from model.corpus.lengths import Lengths
from model.corpus.statistics import CorpusStatistics
from model.corpus.words import WordCounts, words_of

pytestmark = pytest.mark.feature("CORP-11")


@given(st.lists(st.integers(0, 10**7), min_size=1), st.floats(0.01, 1))
def test_quantiles_are_at_most_3_2_percent_below_the_exact_ones(lengths, share):
    counted = Lengths()
    for length in lengths:
        counted.add(length)
    exact = int(np.quantile(lengths, share, method="inverted_cdf"))
    assert exact * (1 - 0.032) <= counted.quantile(share) <= exact
    assert (counted.smallest, counted.largest, counted.count) == (min(lengths), max(lengths), len(lengths))
    assert sum(n for _, n in counted.histogram()) == len(lengths)


@given(st.lists(st.text("abc d_1Ä.", max_size=40)))
def test_words_are_counted_exactly_while_they_fit(texts):
    counts = WordCounts()
    for text in texts:
        counts.add(words_of(text))
    expected = Counter(word for text in texts for word in words_of(text))
    assert dict(counts.most_common(1000)) == dict(expected)
    assert counts.vocabulary == len(expected)
    assert counts.is_exact


def test_vocabulary_beyond_the_table_is_estimated_within_two_percent():
    halves = [WordCounts(most_counted=10_000, sample_size=16_384) for _ in range(2)]
    for half, counts in enumerate(halves):
        for start in range(0, 150_000, 1000):
            counts.add([f"w{i + half * 100_000}" for i in range(start, start + 1000)] + ["the"] * 100)
    merged = WordCounts(most_counted=10_000, sample_size=16_384)
    for counts in halves:
        merged.merge(counts)
    assert not merged.is_exact
    assert abs(merged.vocabulary / 250_001 - 1) < 0.02
    assert merged.most_common(1)[0][0] == "the"
    assert merged.total == 2 * (150_000 + 15_000)


@pytest.mark.feature("CORP-05")
@given(st.lists(st.integers(0, 500).map(str)))
def test_digest_set_behaves_like_a_set(texts):
    seen, expected = DigestSet(least_recent=7), set()
    for text in texts:
        assert seen.add(text_digest(text)) == (text not in expected)
        expected.add(text)
    assert len(seen) == len(expected)


def test_statistics_by_split_and_source_add_up():
    statistics = CorpusStatistics()
    for i, text in enumerate(["one two", "two three é", "three"]):
        statistics.add(Document(f"s/{i}", text, f"s{i % 2}"), "train" if i < 2 else "test")
    splits = {row["split"]: row for row in statistics.split_rows()}
    sources = {row["source"]: row for row in statistics.source_rows()}
    assert (splits["train"]["documents"], splits["train"]["bytes"], splits["train"]["words"]) == (2, 19, 5)
    assert splits["train"]["vocabulary"] == 4
    assert sources["s0"]["characters"] == len("one two") + len("three")
    assert statistics.word_rows(2) == [{"word": "three", "count": 2}, {"word": "two", "count": 2}]
