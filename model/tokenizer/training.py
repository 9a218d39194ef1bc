"""Train a byte-level BPE vocabulary from a stream of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model.errors import TokenizerError
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.pretokenization import pieces, pre_tokenizer
from model.tokenizer.special import SPECIAL_TOKENS
from model.tokenizer.tokenizer import Tokenizer


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Learn merges from texts, read once; memory grows with the number of different words only.

    The four control tokens have the first ids, the 256 bytes the next, learned tokens follow in the order of their
    merges. The result depends on the texts and the config alone, not on threads (pairs are counted exactly and ties
    go to the smaller ids). No text is normalized and nothing is unknown, so any text comes back unchanged.

    Raises:
        TokenizerError: The texts cannot fill `config.vocab_size`; the message says the largest size reached.
    """
    from tokenizers import Tokenizer as BPETokenizer
    from tokenizers import decoders, models, pre_tokenizers, trainers

    bpe = BPETokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizer(config.pattern)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(_training_pieces(texts, config.max_training_characters), trainer)
    reached = bpe.get_vocab_size(with_added_tokens=True)
    if reached < config.vocab_size:
        raise TokenizerError(
            f"tokenizer.vocab_size = {config.vocab_size}: the training text fills only {reached} tokens "
            f"(pairs seen at least tokenizer.min_frequency = {config.min_frequency} times); "
            f"set tokenizer.vocab_size to {reached} or less, or add text"
        )
    return Tokenizer(bpe.to_str(pretty=True))


def _training_pieces(texts: Iterable[str], limit: int | None) -> Iterator[str]:
    """The texts in pieces, up to the first document that reaches `limit` characters."""
    read = 0
    for text in texts:
        yield from pieces(text)
        read += len(text)
        if limit is not None and read >= limit:
            return
