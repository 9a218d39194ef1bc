"""Spans, merge trees, fertility and the vocabulary as a person in a terminal gets them."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from small_tokenizers import PATTERNS, small_tokenizer
from toy_texts import toy_text

from model.errors import TokenizerError
from model.tokenizer.editing.add import add_special
from model.tokenizer.statistics import measure
from model.tokenizer.views.explorer import matching, vocabulary_rows
from model.tokenizer.views.fertility import fertility_by_group
from model.tokenizer.views.merge_tree import merge_trees
from model.tokenizer.views.spans import shown, token_spans
from model.tokenizer.views.terminal import coloured, merge_tree_text, separated

pytestmark = pytest.mark.feature("TOK-09")


@given(st.text())
def test_spans_hold_all_bytes_and_show_nothing_that_a_terminal_would_obey(text: str) -> None:
    spans = token_spans(small_tokenizer(), text)
    assert b"".join(span.data for span in spans) == text.encode()
    assert all(span.shown.isprintable() for span in spans)


def test_bytes_are_shown_so_that_a_person_can_tell_them() -> None:
    assert shown(b" the\n") == "·the↵"
    assert shown("☃".encode()[:2]) == r"\xe2\x98"
    assert shown(b"\x1b[31m\x00") == r"\x1b[31m\x00"
    assert shown("a\u202eb".encode()) == r"a\u202eb"


def test_coloured_text_gives_neighbours_different_colours() -> None:
    spans = token_spans(small_tokenizer(), toy_text(1)[:400])
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=200).print(coloured(spans, with_ids=True))
    assert "\x1b[" in out.getvalue()
    styles = [str(part.style) for part in coloured(spans).spans]
    assert all(left != right for left, right in pairwise(styles))
    assert separated(spans).replace("|", "").replace("↵", "").replace("·", " ").split() == toy_text(1)[:400].split()


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.text(max_size=40) | st.sampled_from(toy_text(2).split()))
def test_trees_end_in_the_bytes_of_the_word_and_begin_with_its_tokens(pattern: str, word: str) -> None:
    tokenizer = small_tokenizer(pattern)
    trees = merge_trees(tokenizer, word)
    assert [tree.token_id for tree in trees] == tokenizer.encode(word)
    leaves = [leaf.token_id for tree in trees for leaf in tree.leaves()]
    assert tokenizer.decode_bytes(leaves) == word.encode()
    assert all(tree.rank is None or all((part.rank or 0) <= tree.rank for part in tree.parts) for tree in trees)


def test_tree_in_the_terminal_names_id_and_merge() -> None:
    [root, *_] = trees = merge_trees(small_tokenizer(), " the")
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(merge_tree_text(trees, " the"))
    said = console.export_text()
    assert f"·the  id {root.token_id}, merge {root.rank}" in said
    assert said.count("id ") >= 4


def test_merge_tree_of_a_whole_text_is_refused() -> None:
    with pytest.raises(TokenizerError, match="300 bytes, expected 256 or fewer"):
        merge_trees(small_tokenizer(), "a" * 300)


def test_fertility_of_groups_equals_that_of_each_alone() -> None:
    tokenizer = small_tokenizer()
    texts = [("en", toy_text(1)), ("de", "Jeder hat das Recht auf Leben."), ("en", toy_text(2))]
    german, english = fertility_by_group(tokenizer, texts)
    alone = measure(tokenizer, [toy_text(1), toy_text(2)])
    assert (german.group, english.group) == ("de", "en")
    assert english.fertility == alone.fertility
    assert english.bytes_per_token == alone.bytes_per_token
    assert german.row()["words"] == 6
    assert fertility_by_group(tokenizer, []) == []


def test_explorer_knows_every_id_and_finds_by_text_id_and_bytes() -> None:
    tokenizer = add_special(small_tokenizer(), ["<|image_0|>"]).new
    uses = np.arange(601)
    rows = vocabulary_rows(tokenizer, uses)
    assert [row.token_id for row in rows] == list(range(601))
    assert [row.uses for row in rows] == list(range(601))
    assert (rows[600].kind, rows[600].token) == ("control", "<|image_0|>")
    learned = [row for row in rows if row.kind == "learned"]
    assert sorted(row.rank for row in learned if row.rank is not None) == list(range(len(learned)))
    assert sum(row.kind == "byte" for row in rows) == 256
    assert [row.token_id for row in matching(rows, "#600")] == [600]
    assert {"·the", "The"} <= {row.token for row in matching(rows, "THE")}
    assert all(b"\x20t" in row.data for row in matching(rows, "0x20 74"))
    assert matching(rows, "no such token") == []
