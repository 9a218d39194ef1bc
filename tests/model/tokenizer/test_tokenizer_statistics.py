from __future__ import annotations

from collections import Counter

import pytest
from small_tokenizers import small_tokenizer

from model.tokenizer.statistics import length_rows, longest_tokens, measure, rank_rows


@pytest.mark.feature("TOK-01")
def test_figures_equal_counts_by_hand(toy_texts):
    tokenizer = small_tokenizer()
    texts = [*toy_texts[40:44], "naïve 🙂 café"]
    found = measure(tokenizer, texts)
    ids = [i for text in texts for i in tokenizer.encode(text)]
    words = sum(len(text.split()) for text in texts)
    size = sum(len(text.encode()) for text in texts)
    assert (found.n_documents, found.n_words, found.n_bytes, found.n_tokens) == (5, words, size, len(ids))
    assert found.fertility == len(ids) / words
    assert found.bytes_per_token == size / len(ids)
    assert found.vocabulary_use == len(set(ids)) / 596
    assert {i: int(n) for i, n in enumerate(found.uses) if n} == Counter(ids)


def test_texts_beyond_one_batch_are_all_counted(toy_texts):
    once, many = measure(small_tokenizer(), toy_texts), measure(small_tokenizer(), toy_texts * 17)
    assert many.n_bytes == 17 * once.n_bytes > 2_000_000
    assert (many.uses == 17 * once.uses).all()


def test_no_text_gives_zeros_not_a_division_by_zero():
    found = measure(small_tokenizer(), [])
    assert (found.n_documents, found.fertility, found.bytes_per_token, found.vocabulary_use) == (0, 0, 0, 0)


def test_measuring_stops_at_the_document_that_reaches_the_limit(toy_texts):
    assert measure(small_tokenizer(), iter(toy_texts), len(toy_texts[0]) + 1).n_documents == 2


def test_rows_for_plots_cover_the_vocabulary_and_all_uses(toy_texts):
    tokenizer = small_tokenizer()
    uses = measure(tokenizer, toy_texts[:5]).uses
    lengths = length_rows(tokenizer, uses)
    assert sum(row["ids"] for row in lengths) == 596
    assert sum(row["share_of_tokens"] for row in lengths) == pytest.approx(1, abs=1e-4)
    ranks = rank_rows(uses)
    assert ranks[0] == {"rank": 1, "uses": max(uses)}
    assert [row["uses"] for row in ranks] == sorted((row["uses"] for row in ranks), reverse=True)


def test_longest_tokens_are_in_order_with_their_text(toy_texts):
    tokenizer = small_tokenizer()
    rows = longest_tokens(tokenizer, measure(tokenizer, toy_texts).uses, 5)
    longest = sorted((len(tokenizer.token_bytes(i)) for i in range(600)), reverse=True)[:5]
    assert [row["bytes"] for row in rows] == longest
    assert all(row["token"] == repr(tokenizer.decode([row["id"]])) for row in rows)
