"""Tokenizers of a few hundred ids, trained in a blink on toy texts, for all tests that need one."""

from __future__ import annotations

from functools import cache

from toy_texts import toy_text

from model.tokenizer.config import TokenizerConfig
from model.tokenizer.pretokenization import Pattern
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer

PATTERNS: tuple[Pattern, ...] = ("gpt2", "gpt4")


@cache
def small_tokenizer(pattern: Pattern = "gpt4", vocab_size: int = 600) -> Tokenizer:
    """One tokenizer for each pair of arguments in a test session."""
    texts = [toy_text(index) for index in range(20)]
    return train_tokenizer(texts, TokenizerConfig(vocab_size=vocab_size, pattern=pattern))
