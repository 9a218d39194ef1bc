"""Byte-level Unigram (Kudo 2018, arXiv:1804.10959): the vocabulary under which the words are most likely.

The recipe is SentencePiece's: many candidates, then in turn two steps of expectation-maximization and the removal of
the quarter whose loss hurts least, down to the size asked for. Unlike SentencePiece's, pieces are bytes of whole
characters inside words, and every byte stays, so nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from model.tokenizer.alphabet import alphabet, byte_of, spelled
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.kinds.words import count_words
from model.tokenizer.normalization import normalizer
from model.tokenizer.pretokenization import pre_tokenizer
from model.tokenizer.special import SPECIAL_TOKENS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from model.tokenizer.engines.bpe_training import WordCounts

CANDIDATES_PER_TOKEN = 16
KEPT_EACH_TIME = 0.75
SLACK = 1.1
"""Pruning stops at this multiple of the size; then the likeliest pieces are taken."""
EM_STEPS = 2
LONGEST_SEED_WORD = 64
DECIMALS = 9
"""Scores are rounded, so that the last bit of a logarithm, which machines may disagree about, is not written."""


def train(texts: Iterable[str], config: TokenizerConfig) -> Any:
    """Learn the pieces and their log probabilities."""
    from tokenizers import Tokenizer, decoders, models

    n_learned = config.vocab_size - len(SPECIAL_TOKENS)
    pieces, scores = learn_pieces(count_words(texts, config), n_learned, config.min_frequency)
    rows = [(token, 0.0) for token in SPECIAL_TOKENS]  # no word can spell them, see CONTROL_GUARD
    rows += [(spelled(piece), score) for piece, score in zip(pieces, scores, strict=True)]
    trained = Tokenizer(models.Unigram(rows, unk_id=None, byte_fallback=False))
    change = normalizer(config.normalization)
    if change is not None:
        trained.normalizer = change
    trained.pre_tokenizer = pre_tokenizer(config.pre_tokenization)
    trained.decoder = decoders.ByteLevel()
    return trained


def learn_pieces(words: WordCounts, n_pieces: int, min_frequency: int) -> tuple[list[bytes], list[float]]:
    """The 256 bytes in the order of their stand-ins, then learned pieces by falling score; their log probabilities."""
    import numpy as np

    from model.tokenizer.engines import unigram_kernels as kernels

    if not len(words.starts):
        return [bytes([byte_of()[character]]) for character in alphabet()], [-np.log(256).round(DECIMALS)] * 256
    pieces, totals = _candidates(words, n_pieces, min_frequency)
    scores = np.log(totals / totals.sum())
    while True:
        for _ in range(EM_STEPS):
            expected = kernels.expected_counts(
                words.text, words.starts, words.lengths, words.counts, *_table(pieces), scores
            )
            kept = np.flatnonzero((expected >= 0.5) | (np.arange(len(pieces)) < 256))
            pieces = [pieces[index] for index in kept]
            scores = _posterior(np.maximum(expected[kept], 0.5))
        if len(pieces) <= SLACK * n_pieces:
            break
        lost = kernels.losses(words.text, words.starts, words.lengths, words.counts, *_table(pieces), scores)
        size = max(int(SLACK * n_pieces), int(KEPT_EACH_TIME * len(pieces)))
        kept = np.sort(np.lexsort((np.arange(len(pieces)), -lost))[:size])
        pieces, scores = [pieces[index] for index in kept], scores[kept]
    order = np.lexsort((np.arange(256, len(pieces)), -scores[256:]))[: max(0, n_pieces - 256)] + 256
    chosen = [*range(256), *order.tolist()]
    return [pieces[index] for index in chosen], np.round(scores[chosen], DECIMALS).tolist()


def _candidates(words: WordCounts, n_pieces: int, min_frequency: int) -> tuple[list[bytes], npt.NDArray[np.float64]]:
    """All bytes and the runs of bytes that cover most text, with their counts."""
    import numpy as np

    from model.tokenizer.engines import unigram_kernels as kernels

    starts, lengths, totals = kernels.substrings(
        words.text, words.starts, words.lengths, words.counts, LONGEST_SEED_WORD
    )
    frequent = np.flatnonzero(totals >= max(2, min_frequency))
    best = np.lexsort((frequent, -(totals[frequent] * lengths[frequent])))[: CANDIDATES_PER_TOKEN * n_pieces]
    chosen = frequent[best]
    text = words.text.tobytes()
    runs = [text[start : start + length] for start, length in zip(starts[chosen], lengths[chosen], strict=True)]
    uses = np.bincount(words.text, np.repeat(words.counts, words.lengths), 256)
    singles = [byte_of()[character] for character in alphabet()]
    counts = np.concatenate([np.maximum(uses[singles], 0.5), totals[chosen].astype(np.float64)])
    return [*(bytes([byte]) for byte in singles), *runs], counts


def _table(pieces: list[bytes]) -> tuple[Any, npt.NDArray[np.uint8]]:
    """What the kernels find pieces by, and their bytes."""
    import numpy as np

    from model.tokenizer.engines import unigram_kernels as kernels

    text = np.frombuffer(b"".join(pieces), np.uint8)
    lengths = np.array([len(piece) for piece in pieces], np.int32)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return (*kernels.piece_table(text, starts, lengths), starts, lengths), text


def _posterior(expected: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log probabilities under a Dirichlet prior, which makes rare pieces rarer: digamma(count) - digamma(total)."""
    import numpy as np

    def digamma(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shift = np.zeros_like(x)
        for _ in range(7):
            low = x < 7
            shift = shift - np.where(low, 1 / x, 0.0)
            x = np.where(low, x + 1, x)
        square = 1 / ((x - 0.5) * (x - 0.5))
        series = square * (1 / 24 - square * (7 / 960 - square * (31 / 8064 - square * 127 / 30720)))
        return shift + np.log(x - 0.5) + series

    return digamma(expected) - digamma(np.array([expected.sum()]))
