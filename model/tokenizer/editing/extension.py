"""Take a tokenizer to another language: tokens learned from that language's text, and what it gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import TokenizerError
from model.tokenizer.editing.continuation import continue_training
from model.tokenizer.editing.edit import VocabularyEdit
from model.tokenizer.statistics import measure
from model.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Extension:
    """An extended tokenizer, measured on text that it did not learn from.

    Attributes:
        edit: The edit; all old ids are kept.
        fertility_before: Tokens per word of the held-out text with the old tokenizer (Rust et al. 2021).
        fertility_after: The same with the new one.
        bytes_per_token_before: Bytes per token of the held-out text with the old tokenizer.
        bytes_per_token_after: The same with the new one.
        held_out: Texts that were measured and not learned from.
    """

    edit: VocabularyEdit
    fertility_before: float
    fertility_after: float
    bytes_per_token_before: float
    bytes_per_token_after: float
    held_out: int


def extend(
    tokenizer: Tokenizer, texts: Sequence[str], n_tokens: int, min_frequency: int = 2, held_out_every: int = 10
) -> Extension:
    """Learn `n_tokens` from all texts but each tenth, and measure both tokenizers on those.

    Raises:
        TokenizerError: Fewer texts than `held_out_every`, or too little text for so many tokens.
    """
    held_out = texts[held_out_every - 1 :: held_out_every]
    if not held_out:
        raise TokenizerError(
            f"extend: {len(texts)} texts, expected at least {held_out_every}: each {held_out_every}th is held out "
            "to measure the result; give more texts, or use `continue`"
        )
    learned = [text for index, text in enumerate(texts, 1) if index % held_out_every]
    edit = continue_training(tokenizer, learned, n_tokens, min_frequency)
    before, after = measure(edit.old, held_out), measure(edit.new, held_out)
    return Extension(
        edit, before.fertility, after.fertility, before.bytes_per_token, after.bytes_per_token, len(held_out)
    )
