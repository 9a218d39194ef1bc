"""The words of texts and how often each occurs, by the fastest way for the rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from model.tokenizer.config import RegexRule, TokenizerConfig
from model.tokenizer.normalization import normalizer
from model.tokenizer.pretokenization import pre_tokenizer

if TYPE_CHECKING:
    from model.tokenizer.engines.bpe_training import WordCounts


def count_words(texts: Iterable[str], config: TokenizerConfig) -> WordCounts:
    """Words of two bytes and more, in the order of first sight."""
    from model.tokenizer.engines.bpe_training import RULES, count_words_by_chain, count_words_by_rule

    rules = config.pre_tokenization
    if len(rules) == 1 and not isinstance(rules[0], RegexRule) and rules[0] in RULES and not config.normalization:
        return count_words_by_rule(texts, rules[0])
    return count_words_by_chain(texts, pre_tokenizer(rules), normalizer(config.normalization))
