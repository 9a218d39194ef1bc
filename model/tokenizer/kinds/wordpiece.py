"""Byte-level WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): the longest token that fits, again and again.

Unlike BERT's it is byte-level, so nothing is unknown and nothing is lost, and its mark for the inside of words is a
character that no byte's stand-in is. Words are cut at `LONGEST_WORD` bytes, because the search for the longest token
takes time quadratic in the word. Tokens are those of BPE over bytes that know whether they begin a word, as in
`tokenizers`' WordPieceTrainer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from model.tokenizer.alphabet import alphabet, byte_of, spelled
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.kinds.words import count_words
from model.tokenizer.normalization import normalizer
from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.special import PAD, SPECIAL_TOKENS
from model.tokenizer.spelling import INSIDE_WORD

LONGEST_WORD = 100


def train(texts: Iterable[str], config: TokenizerConfig) -> Any:
    """Learn tokens for the beginnings and the insides of words."""
    import numpy as np
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.decoders import Replace

    from model.tokenizer.engines.bpe_training import learn_merges

    words = count_words(texts, config)
    n_control = len(SPECIAL_TOKENS)
    bytes_in_order = [byte_of()[character] for character in alphabet()]
    byte_ids = np.zeros(256, np.int32)
    byte_ids[bytes_in_order] = np.arange(n_control, n_control + 256)
    symbols = byte_ids[words.text] + 256
    symbols[words.starts] -= 256
    # a byte is two here, the first of which says where it stands, so that equal texts are equal tokens
    control = [bytes([3, index]) for index in range(n_control)]
    both = [bytes([place, byte]) for place in (1, 2) for byte in bytes_in_order]
    tokens, _ = learn_merges(words, symbols, [*control, *both], config.vocab_size, config.min_frequency)
    names = [*SPECIAL_TOKENS, *map(_name, tokens[n_control:])]
    model = models.WordPiece(
        {name: token_id for token_id, name in enumerate(names)},
        unk_token=PAD,  # never used: every byte has a token
        max_input_chars_per_word=LONGEST_WORD,
        continuing_subword_prefix=INSIDE_WORD,
    )
    trained = Tokenizer(model)
    change = normalizer(config.normalization)
    if change is not None:
        trained.normalizer = change
    trained.pre_tokenizer = pre_tokenizer(config.pre_tokenization, longest=LONGEST_WORD)
    trained.decoder = decoders.Sequence([Replace(INSIDE_WORD, ""), decoders.ByteLevel()])
    return trained


def _name(token: bytes) -> str:
    return (INSIDE_WORD if token[0] == 2 else "") + spelled(token[1::2])
