"""Pruning: what is kept, and that text of kept tokens is encoded as before."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import PATTERNS, small_tokenizer
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.editing.prune import kept_ids, prune
from model.tokenizer.editing.vocabulary import parse_bpe
from model.tokenizer.statistics import measure


def pruned(pattern: str = "gpt4", size: int = 400) -> VocabularyEdit:
    tokenizer = small_tokenizer(pattern)
    return prune(tokenizer, measure(tokenizer, [toy_text(1), toy_text(2)]).uses, size)


@pytest.mark.feature("TOK-05")
@pytest.mark.parametrize("size", [260, 261, 333, 599, 600])
def test_pruned_vocabulary_has_exactly_the_size_and_all_bytes_and_control_tokens(size: int) -> None:
    edit = pruned(size=size)
    assert edit.new.vocab_size == size
    assert edit.new.special_tokens == edit.old.special_tokens
    single = {edit.new.token_bytes(i) for i in range(size)}
    assert {bytes([value]) for value in range(256)} <= single


@pytest.mark.feature("TOK-05")
@given(st.integers(260, 600), st.integers(0, 999))
def test_size_is_exact_and_merges_are_closed_whatever_is_used(size: int, seed: int) -> None:
    tokenizer = small_tokenizer()
    uses = np.random.default_rng(seed).geometric(0.05, 600)
    vocabulary = parse_bpe(tokenizer, "test")
    kept = kept_ids(vocabulary, uses, size)
    assert len(kept) == size
    made = {merged: {left, right} for left, right, merged in vocabulary.merges}
    assert all(made.get(token_id, set()) <= set(kept) for token_id in kept)


@pytest.mark.feature("TOK-05")
def test_every_kept_token_is_still_reached_by_kept_merges() -> None:
    edit = pruned()
    model = json.loads(edit.new.content)["model"]
    made = {"".join(merge) for merge in model["merges"]}
    assert all(set(merge) <= set(model["vocab"]) and "".join(merge) in model["vocab"] for merge in model["merges"])
    specials = set(edit.new.special_tokens)
    assert {token for token in model["vocab"] if len(token) > 1} - specials == made


@pytest.mark.feature("TOK-05")
def test_of_two_tokens_that_need_no_other_the_more_used_one_stays() -> None:
    tokenizer = small_tokenizer()
    uses = np.zeros(600, np.int64)
    pairs = [i for i in range(260, 600) if len(tokenizer.token_bytes(i)) == 2]
    uses[pairs[7]] = 5
    uses[pairs[3]] = 4
    assert prune(tokenizer, uses, 262).kept == (*range(260), pairs[3], pairs[7])
    assert prune(tokenizer, uses, 261).kept == (*range(260), pairs[7])


@pytest.mark.feature("TOK-05")
@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.lists(st.sampled_from([word for i in range(6) for word in toy_text(i).split()]), max_size=12).map(" ".join))
def test_text_of_kept_tokens_is_encoded_by_the_same_tokens_and_all_text_comes_back(pattern: str, text: str) -> None:
    edit = pruned(pattern)
    new_ids = edit.new_ids()
    before, after = edit.old.encode(text), edit.new.encode(text)
    if all(token_id in new_ids for token_id in before):
        assert after == [new_ids[token_id] for token_id in before]
    assert edit.new.decode(after) == text


@pytest.mark.feature("TOK-05")
@given(st.text())
def test_any_text_survives_pruning_and_hugging_face_gives_the_same_ids(text: str) -> None:
    edit = pruned()
    ids = edit.new.encode(text)
    assert edit.new.decode(ids) == text
    other = tokenizers.Tokenizer.from_str(edit.new.content)
    other.encode_special_tokens = True
    assert other.encode(text, add_special_tokens=False).ids == ids


@pytest.mark.feature("TOK-05")
def test_record_gives_the_new_id_of_every_old_one() -> None:
    edit = pruned()
    record = edit.record()
    for old, new in enumerate(record["old_to_new"]):
        if new >= 0:
            assert edit.old.token_bytes(old) == edit.new.token_bytes(new)
    assert sum(new < 0 for new in record["old_to_new"]) == 200


@pytest.mark.feature("TOK-05")
@pytest.mark.parametrize("size", [259, 601])
def test_a_size_that_cannot_be_is_refused_with_the_range(size: int) -> None:
    with pytest.raises(TokenizerError, match=rf"size {size}, expected 260 .* to 600"):
        pruned(size=size)


@pytest.mark.feature("TOK-05")
def test_uses_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(TokenizerError, match="uses of 3 ids, expected 600"):
        prune(small_tokenizer(), [1, 2, 3], 400)
