from __future__ import annotations

from itertools import pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from small_tokenizers import PATTERNS, small_tokenizer

from model.tokenizer.pretokenization import pieces

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
PUBLISHED = {"gpt2": GPT2, "gpt4": CL100K}

FRAGMENTS = st.one_of(
    st.sampled_from(["a", "Word", "'ll", "'", "'RE", "12", "3456", "é", "日本", "🙂", "_", "e\u0301"]),
    st.sampled_from([" ", "  ", "\n", "\r\n", "\t", ".", ", ", "?!"]),
)
MESSY = st.lists(FRAGMENTS, max_size=60).map("".join)


def reference_ids(tokenizer, pattern, text):
    """BPE written plainly: split by the published rule, then always merge the pair that was learned first."""
    import json

    model = json.loads(tokenizer.content)["model"]
    rank = {tuple(pair): index for index, pair in enumerate(model["merges"])}
    id_of = {tokenizer.token_bytes(i): i for i in range(tokenizer.vocab_size) if i >= 4}
    name_of = {tokenizer.token_bytes(i): name for name, i in model["vocab"].items() if i >= 4}
    ids = []
    for word in regex.findall(PUBLISHED[pattern], text):
        parts = [bytes([byte]) for byte in word.encode()]
        while True:
            ranked = [
                (rank.get((name_of[left], name_of[right]), len(rank)), at)
                for at, (left, right) in enumerate(pairwise(parts))
            ]
            best, at = min(ranked, default=(len(rank), 0))
            if best == len(rank):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids += [id_of[part] for part in parts]
    return ids


@pytest.mark.feature("TOK-01")
@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=MESSY)
@example(text="It's 12345 o'clock;\r\n\r\n  the sailors'll go  ")
def test_ids_equal_plain_bpe_over_the_published_rule(pattern, text):
    tokenizer = small_tokenizer(pattern)
    assert tokenizer.encode(text) == reference_ids(tokenizer, pattern, text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_of_real_sentences_equal_plain_bpe(pattern, toy_texts):
    tokenizer = small_tokenizer(pattern)
    for text in toy_texts[30:40]:
        assert tokenizer.encode(text) == reference_ids(tokenizer, pattern, text)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=MESSY, size=st.integers(1, 20))
@example(text="I'll, we'Re; a\n\n\nb \tc.\r\nd", size=1)
def test_ids_of_the_pieces_are_the_ids_of_the_whole(pattern, text, size):
    import tokenizers

    whole = tokenizers.Tokenizer.from_str(small_tokenizer(pattern).content)
    parts = list(pieces(text, size))
    assert "".join(parts) == text
    assert [i for part in parts for i in whole.encode(part).ids] == whole.encode(text).ids


def test_a_long_text_is_cut_and_one_without_a_border_stays_whole():
    text = "word and word, " * 100
    parts = list(pieces(text, 100))
    assert len(parts) > 10
    assert max(map(len, parts)) < 120
    assert list(pieces("x" * 1000, 100)) == ["x" * 1000]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_of_a_megabyte_has_the_ids_of_the_whole(pattern, toy_texts):
    import tokenizers

    tokenizer = small_tokenizer(pattern)
    text = "\n".join(toy_texts) * 9  # enough for several pieces and groups of them
    assert len(text) > 1_100_000
    assert tokenizer.encode(text) == tokenizers.Tokenizer.from_str(tokenizer.content).encode(text).ids
