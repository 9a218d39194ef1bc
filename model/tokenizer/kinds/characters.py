"""The kinds without merges: the most frequent characters (others as their bytes), and bytes alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from model.tokenizer.alphabet import alphabet
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.normalization import normalizer
from model.tokenizer.special import SPECIAL_TOKENS

CHARACTERS_AT_ONCE = 1_000_000


def train_characters(texts: Iterable[str], config: TokenizerConfig) -> Any:
    """The most frequent characters, of equals the smaller code point, as far as the vocabulary has room."""
    import numpy as np
    from tokenizers import Tokenizer, decoders, models

    change = normalizer(config.normalization)
    counts = np.zeros(0x110000, np.int64)
    for text in texts:
        for start in range(0, len(text), CHARACTERS_AT_ONCE):
            part = text[start : start + CHARACTERS_AT_ONCE]
            part = part if change is None else change.normalize_str(part)
            points, occurrences = np.unique(np.frombuffer(part.encode("utf-32-le"), np.uint32), return_counts=True)
            counts[points] += occurrences
    room = config.vocab_size - len(SPECIAL_TOKENS) - 256
    frequent = np.flatnonzero(counts >= config.min_frequency)
    chosen = frequent[np.lexsort((frequent, -counts[frequent]))][:room]
    names = [*SPECIAL_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256)), *map(chr, chosen.tolist())]
    vocabulary = {name: token_id for token_id, name in enumerate(names)}
    trained = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    if change is not None:
        trained.normalizer = change
    trained.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return trained


def train_bytes(_: Iterable[str], config: TokenizerConfig) -> Any:
    """256 bytes; the texts are not read."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {name: token_id for token_id, name in enumerate([*SPECIAL_TOKENS, *alphabet()])}
    trained = Tokenizer(models.BPE(vocabulary, []))
    change = normalizer(config.normalization)
    if change is not None:
        trained.normalizer = change
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trained.decoder = decoders.ByteLevel()
    return trained
