from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from small_tokenizers import small_tokenizer

from model.dataset.statistics import SplitStatistics, document_length_rows, token_length_rows


def counted(documents):
    statistics = SplitStatistics.empty(600)
    for ids in documents:
        statistics.add(np.array(ids, np.uint32))
    return statistics


def test_documents_are_counted_by_the_power_of_two_they_reach():
    splits = {"train": counted([[5] * n for n in (0, 1, 2, 3, 4, 7, 8)]), "test": counted([[5] * 16])}
    assert document_length_rows(splits) == [
        {"at_least_tokens": 1, "train": 2, "test": 0},
        {"at_least_tokens": 2, "train": 2, "test": 0},
        {"at_least_tokens": 4, "train": 2, "test": 0},
        {"at_least_tokens": 8, "train": 1, "test": 0},
        {"at_least_tokens": 16, "train": 0, "test": 1},
    ]


def test_shares_of_token_lengths_equal_counts_by_hand(toy_texts):
    tokenizer = small_tokenizer()
    documents = [tokenizer.encode(text) for text in toy_texts[:5]]
    rows = token_length_rows({"train": counted(documents), "empty": counted([])}, tokenizer)
    lengths = Counter(len(tokenizer.token_bytes(i)) for ids in documents for i in ids)
    for row in rows:
        assert row["train"] == pytest.approx(lengths[row["bytes"]] / lengths.total(), abs=1e-6)
        assert row["empty"] == 0
    assert sum(row["train"] for row in rows) == pytest.approx(1, abs=1e-4)


def test_nothing_counted_gives_no_rows():
    assert document_length_rows({"train": counted([])}) == []
