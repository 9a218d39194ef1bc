"""Continued training and extension to another language."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import PATTERNS, small_tokenizer
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.editing.continuation import LONGEST_WORD, continue_training, count_words, learn_merges
from model.tokenizer.editing.extension import extend
from model.tokenizer.editing.vocabulary import parse_bpe, replace_pair
from model.tokenizer.training import train_tokenizer

GERMAN = [
    f"Alle Menschen sind frei und gleich an Würde und Rechten geboren. Artikel {n}: Jeder hat das Recht auf Leben, "
    f"Freiheit und Sicherheit der Person; niemand darf der Folter unterworfen werden, sagt Paragraf {n * 7}."
    for n in range(40)
]


@pytest.mark.feature("TOK-07")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_continued_tokenizer_keeps_all_ids_and_cuts_new_text_into_fewer_tokens(pattern: str) -> None:
    edit = continue_training(small_tokenizer(pattern), GERMAN, 100)
    assert edit.new.vocab_size == 700
    assert all(edit.new.token_bytes(i) == edit.old.token_bytes(i) for i in range(600))
    old, new = (json.loads(t.content)["model"]["merges"] for t in (edit.old, edit.new))
    assert new[: len(old)] == old
    after = edit.new.encode(GERMAN[0])
    assert len(after) < 0.7 * len(edit.old.encode(GERMAN[0]))
    assert edit.new.decode(after) == GERMAN[0]


@pytest.mark.feature("TOK-07")
@given(st.text() | st.sampled_from([*GERMAN, toy_text(4)]))
def test_new_tokens_are_groups_of_old_ones_and_hugging_face_agrees(text: str) -> None:
    edit = continue_training(small_tokenizer(), GERMAN, 100)
    ids = edit.new.encode(text)
    flat = [old for i in ids for old in ([i] if i < 600 else edit.pieces[i - 600])]
    assert flat == edit.old.encode(text)
    other = tokenizers.Tokenizer.from_str(edit.new.content)
    other.encode_special_tokens = True
    assert other.encode(text, add_special_tokens=False).ids == ids


@pytest.mark.feature("TOK-07")
def test_training_in_one_go_and_in_two_steps_gives_the_same_merges() -> None:
    """Continuing on the same text is what training would have done, so `tokenizers`' trainer is the reference."""
    texts = [toy_text(index) for index in range(20)]
    whole = train_tokenizer(texts, TokenizerConfig(vocab_size=600))
    first = train_tokenizer(texts, TokenizerConfig(vocab_size=400))
    edit = continue_training(first, texts, 200)
    merges = [json.loads(t.content)["model"]["merges"] for t in (edit.new, whole)]
    assert merges[0] == merges[1]


@pytest.mark.feature("TOK-07")
@given(st.lists(st.tuples(st.text(alphabet="abc", min_size=1, max_size=12), st.integers(1, 5)), min_size=1))
def test_counts_stay_exact_as_words_change(words: list[tuple[str, int]]) -> None:
    old = parse_bpe(small_tokenizer(vocab_size=261), "test")
    sequences = [old.characters(word) for word, _ in words]
    counts = [count for _, count in words]
    assert learn_merges(old, sequences, counts, 8, 2) == counted_again(old.tokens, sequences, counts, 8)


def counted_again(
    old: tuple[str, ...], words: list[list[int]], counts: list[int], wanted: int
) -> list[tuple[int, int, int]]:
    """Brute force: all pairs counted anew for each merge."""
    words, tokens, learned = list(words), list(old), []
    while len(learned) < wanted:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, count in zip(words, counts, strict=True):
            for pair in pairwise(word):
                if tokens[pair[0]] + tokens[pair[1]] not in tokens:
                    pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        learned.append((*best, len(tokens)))
        words = [replace_pair(word, *best, len(tokens)) for word in words]
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return learned


@pytest.mark.feature("TOK-07")
def test_text_that_gives_too_little_is_refused_with_what_it_gives() -> None:
    with pytest.raises(TokenizerError, match=r"gives only 0 new tokens .* expected 5"):
        continue_training(small_tokenizer(), ["zq"], 5)


@pytest.mark.feature("TOK-07")
def test_endless_words_and_half_characters_do_no_harm() -> None:
    words = count_words(small_tokenizer(), ["a" * 300_000 + " short short", "\x00" * 10])
    assert max(map(len, words)) <= LONGEST_WORD
    assert sum(count for word, count in words.items() if word.endswith("short")) == 2
    with pytest.raises(TokenizerError, match="surrogate"):
        count_words(small_tokenizer(), ["\ud800"])


@pytest.mark.feature("TOK-07")
def test_extension_lowers_fertility_on_text_that_it_did_not_see() -> None:
    result = extend(small_tokenizer(), GERMAN, 80)
    assert result.held_out == 4
    assert result.fertility_after < 0.7 * result.fertility_before
    assert result.bytes_per_token_after > result.bytes_per_token_before
    with pytest.raises(TokenizerError, match="3 texts, expected at least 10"):
        extend(small_tokenizer(), GERMAN[:3], 8)
