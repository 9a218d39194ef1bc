"""Added words and control tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import PATTERNS, small_tokenizer
from toy_texts import toy_text
from transformers import AutoTokenizer

from model.errors import TokenizerError
from model.tokenizer.editing.add import add_special, add_words
from model.tokenizer.editing.vocabulary import parse_bpe, segment

WORDS = ["hydroxychloroquine", " hydroxychloroquine", " hydroxyl", "Übermut", "aaaaaaaa", "日本語", " naïve"]


@pytest.mark.feature("TOK-06")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_added_words_are_one_token_each_and_old_ids_stay(pattern: str) -> None:
    edit = add_words(small_tokenizer(pattern), WORDS)
    for word in WORDS:
        assert len(edit.new.encode(word)) == 1
        assert edit.new.decode(edit.new.encode(word)) == word
    assert edit.kept == tuple(range(600))
    assert all(edit.new.token_bytes(i) == edit.old.token_bytes(i) for i in range(600))
    assert len(edit.pieces) == edit.new.vocab_size - 600


@pytest.mark.feature("TOK-06")
def test_pieces_of_a_new_token_are_its_old_encoding() -> None:
    edit = add_words(small_tokenizer(), WORDS)
    for word in WORDS:
        [new] = edit.new.encode(word)
        assert list(edit.pieces[new - 600]) == edit.old.encode(word)
    for offset, pieces in enumerate(edit.pieces):
        assert edit.old.decode_bytes(pieces) == edit.new.token_bytes(600 + offset)


@pytest.mark.feature("TOK-06")
@given(st.text())
def test_text_is_encoded_as_before_where_new_tokens_do_not_occur_and_hugging_face_agrees(text: str) -> None:
    edit = add_words(small_tokenizer(), WORDS)
    ids = edit.new.encode(text)
    flat = [old for i in ids for old in ([i] if i < 600 else edit.pieces[i - 600])]
    assert flat == edit.old.encode(text)
    other = tokenizers.Tokenizer.from_str(edit.new.content)
    other.encode_special_tokens = True
    assert other.encode(text, add_special_tokens=False).ids == ids


@pytest.mark.feature("TOK-06")
def test_word_that_is_a_token_already_changes_nothing() -> None:
    tokenizer = small_tokenizer()
    longest = max(range(600), key=lambda i: len(tokenizer.token_bytes(i)))
    edit = add_words(tokenizer, [tokenizer.decode([longest])])
    assert edit.new.vocab_size == 600
    assert edit.new.encode(toy_text(3)) == tokenizer.encode(toy_text(3))


@pytest.mark.feature("TOK-06")
@pytest.mark.parametrize("word", ["New York", "", "a\nb", "x, y"])
def test_what_is_not_one_word_is_refused(word: str) -> None:
    with pytest.raises(TokenizerError, match="expected one"):
        add_words(small_tokenizer(), [word])


@pytest.mark.feature("TOK-06")
def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        add_words(small_tokenizer(), ["a\ud800"])


@pytest.mark.feature("TOK-06")
@pytest.mark.feature("TOK-14")
def test_control_tokens_have_the_next_ids_and_no_text_becomes_one(tmp_path: Path) -> None:
    edit = add_special(small_tokenizer(), ["<|image_0|>", "<|image_1|>"])
    assert edit.new.vocab_size == 602
    assert edit.pieces == ((), ())
    assert max(edit.new.encode("<|image_0|> and <|image_1|>")) < 600
    edit.new.save(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened.convert_tokens_to_ids(["<|image_0|>", "<|image_1|>"]) == [600, 601]
    assert opened.encode("a<|image_1|>b") == [*edit.new.encode("a"), 601, *edit.new.encode("b")]
    text = "no <|image_0|> here"
    assert opened.encode(text, split_special_tokens=True) == edit.new.encode(text)


@pytest.mark.feature("TOK-06")
def test_words_can_follow_control_tokens() -> None:
    marked = add_special(small_tokenizer(), ["<|image_0|>"]).new
    edit = add_words(marked, ["hydroxychloroquine"])
    assert len(edit.new.encode("hydroxychloroquine")) == 1
    loaded = tokenizers.Tokenizer.from_str(edit.new.content)
    assert loaded.token_to_id("<|image_0|>") == 600
    assert loaded.get_vocab_size() == edit.new.vocab_size


@pytest.mark.feature("TOK-06")
@pytest.mark.parametrize("name", ["", "ab", "<|a b|>", "<|endoftext|>"])
def test_bad_name_of_a_control_token_is_refused(name: str) -> None:
    with pytest.raises(TokenizerError, match="add: "):
        add_special(small_tokenizer(), [name])


@given(st.text(alphabet="abehnrst", min_size=1, max_size=30))
def test_own_segmentation_equals_that_of_hugging_face(word: str) -> None:
    tokenizer = small_tokenizer()
    vocabulary = parse_bpe(tokenizer, "test")
    assert segment(vocabulary.characters(word), vocabulary.ranks()) == tokenizer.encode(word)
