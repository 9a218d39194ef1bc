"""Where words end: no learned token crosses such a border.

Both rules cut the text itself into words, lose nothing, and hand the bytes of each word to BPE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

Pattern = Literal["gpt2", "gpt4"]

GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
"""The rule of `cl100k_base` in github.com/openai/tiktoken (tiktoken_ext/openai_public.py)."""

PIECE_CHARACTERS = 65_536
_CUT = re.compile(r"(?<=[A-Za-z])(?=[ \n\t.,;:!?])")


def pre_tokenizer(pattern: Pattern) -> Any:
    """The `tokenizers` pre-tokenizer of a rule; `gpt2` is the one built into its `ByteLevel` (Radford et al. 2019)."""
    from tokenizers import Regex, pre_tokenizers

    if pattern == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(Regex(GPT4), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def pieces(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Cut a long text into pieces of about `size` characters whose ids, one after the other, are those of the whole.

    `tokenizers` needs some hundred bytes of memory per character of one text, so a text of many megabytes goes in
    pieces. In both rules a word that holds a letter ends with a letter and nothing looks back, so the border between
    an ASCII letter and ASCII white space or punctuation after it is a border of words whatever stands around it.
    A text without such a place stays whole.
    """
    start = 0
    while len(text) - start > size:
        cut = _CUT.search(text, start + size)
        if cut is None:
            break
        yield text[start : cut.start()]
        start = cut.start()
    if start < len(text) or not text:
        yield text[start:]
