"""Text, images, sound and music in one id space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer

from model.codes.space import CodeSpace, reserve_beyond, reserve_tokens
from model.errors import IntegrityError, TokenizerError

pytestmark = [pytest.mark.feature("TOK-11"), pytest.mark.feature("TOK-12")]
SIZES = {"image": (32, 2), "audio": (16, 1), "music": (300, 1)}


@given(st.text(max_size=30), st.integers(1, 5), st.integers(1, 5), st.lists(st.integers(0, 15)), st.text(max_size=30))
def test_mixed_sequence_is_taken_apart_as_it_was_put_together(
    before: str, rows: int, columns: int, sound: list[int], after: str
) -> None:
    tokenizer = small_tokenizer()
    space = reserve_beyond(tokenizer, SIZES)
    image = np.random.default_rng(rows).integers(0, 32, (rows, columns, 2))
    ids = [
        *tokenizer.encode(before),
        *space.item_ids("image", image),
        *space.item_ids("audio", np.array(sound, np.int64)),
        *tokenizer.encode(after),
    ]
    assert max(ids) < space.size
    items = space.items(ids)
    texts = [item.values.tolist() for item in items if item.modality == "text"]
    assert [tokenizer.decode(ids) for ids in texts] == [text for text in (before, after) if text]
    found = {item.modality: item.values for item in items}
    np.testing.assert_array_equal(found["image"], image)
    assert found["audio"].reshape(-1).tolist() == sound


@pytest.mark.feature("TOK-14")
def test_reserved_tokens_have_the_same_ids_in_hugging_face() -> None:
    space, edit = reserve_tokens(small_tokenizer(), SIZES)
    assert space.text_size == 600
    assert space.size == edit.new.vocab_size
    opened = tokenizers.Tokenizer.from_str(edit.new.content)
    assert opened.token_to_id("<|image_start|>") == space.ranges["image"].start
    assert opened.token_to_id("<|image_row|>") == space.ranges["image"].row
    for name, own in space.ranges.items():
        assert [opened.token_to_id(f"<|{name}_{i}|>") for i in range(own.n_codes)] == list(own.codes)
    assert max(edit.new.encode("<|image_start|><|image_3|><|image_end|>")) < 600, "a text can never become a code"


def test_space_is_saved_and_opened(tmp_path: Path) -> None:
    space = reserve_beyond(small_tokenizer(), SIZES)
    space.save(tmp_path)
    assert CodeSpace.open(tmp_path) == space
    (tmp_path / "code_space.json").write_text('{"ranges": 3}')
    with pytest.raises(IntegrityError, match="damaged"):
        CodeSpace.open(tmp_path)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda r: [r.start, r.codes[0], r.codes[1]], "has no end"),
        (lambda r: [r.codes[0]], "neither text nor the start"),
        (lambda r: [99_999], "neither text nor the start"),
        (lambda r: [-1], "neither text nor the start"),
        (lambda r: [r.start, 5, r.end], "expected a code"),
        (lambda r: [r.start, r.codes[0], r.end], "a multiple of 2"),
        (lambda r: [r.start, *r.codes[:2], r.row, *r.codes[:4], r.row, r.end], "one length"),
        (lambda r: [r.start, *r.codes[:2], r.row, *r.codes[:2], r.end], "last row has no end"),
    ],
)
def test_broken_sequence_is_one_clear_error(broken, said: str) -> None:
    space = reserve_beyond(small_tokenizer(), SIZES)
    with pytest.raises(TokenizerError, match=said):
        space.items(broken(space.ranges["image"]))


def test_codes_that_do_not_fit_are_refused() -> None:
    space = reserve_beyond(small_tokenizer(), SIZES)
    with pytest.raises(TokenizerError, match="no ids for 'smell', expected one of image, audio, music"):
        space.item_ids("smell", np.zeros(1, np.int64))
    with pytest.raises(TokenizerError, match="expected 0 to 15"):
        space.item_ids("audio", np.array([16]))
    with pytest.raises(TokenizerError, match="expected 2 per vector"):
        space.item_ids("image", np.zeros((1, 1, 3), np.int64))
    with pytest.raises(TokenizerError, match="cannot reserve"):
        reserve_beyond(small_tokenizer(), {"text": (5, 1)})
