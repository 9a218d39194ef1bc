"""Byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2, Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from model.tokenizer.alphabet import alphabet, byte_of, spelled
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.kinds.words import count_words
from model.tokenizer.normalization import normalizer
from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.special import SPECIAL_TOKENS


def train(texts: Iterable[str], config: TokenizerConfig) -> Any:
    """Learn merges: always the most frequent pair, of equals the one with the smaller ids."""
    import numpy as np
    from tokenizers import Tokenizer, decoders, models

    from model.tokenizer.engines.bpe_training import learn_merges

    words = count_words(texts, config)
    bytes_in_order = [byte_of()[character] for character in alphabet()]
    byte_ids = np.zeros(256, np.int32)
    byte_ids[bytes_in_order] = np.arange(len(SPECIAL_TOKENS), len(SPECIAL_TOKENS) + 256)
    control = [token.encode() for token in SPECIAL_TOKENS]
    tokens, merges = learn_merges(
        words, byte_ids[words.text], [*control, *(bytes([byte]) for byte in bytes_in_order)],
        config.vocab_size, config.min_frequency,
    )  # fmt: skip
    names = [*SPECIAL_TOKENS, *(spelled(token) for token in tokens[len(control) :])]
    vocabulary = {name: token_id for token_id, name in enumerate(names)}
    trained = Tokenizer(models.BPE(vocabulary, [(names[left], names[right]) for left, right in merges]))
    change = normalizer(config.normalization)
    if change is not None:
        trained.normalizer = change
    trained.pre_tokenizer = pre_tokenizer(config.pre_tokenization)
    trained.decoder = decoders.ByteLevel()
    return trained
