"""Count words and learn merges with the compiled kernels: exactly the merges of `tokenizers`, many times as fast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.alphabet import unspelled
from model.tokenizer.engines.character_classes import character_classes
from model.tokenizer.pretokenization import pieces

BATCH_BYTES = 1 << 20
RULES = {"gpt2": 0, "gpt4": 1}


@dataclass
class WordCounts:
    """Distinct words and how often each occurs, in the order in which they were first seen.

    Words of one byte are left out: they hold no pair.

    Attributes:
        text: (n_bytes,) uint8, the words end to end.
        starts: (n_words,) int64, where each begins.
        lengths: (n_words,) int32, its bytes.
        counts: (n_words,) int64, its occurrences.
    """

    text: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


def count_words_by_rule(texts: Iterable[str], rule: str) -> WordCounts:
    """Count the words of texts by a rule of `RULES`; memory grows with the number of different words only.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    from model.tokenizer.engines import word_kernels as kernels

    slots = np.full(1 << 16, -1, np.int32)
    capacity = len(slots)
    hashes, starts = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    lengths, counts = np.empty(capacity, np.int32), np.empty(capacity, np.int64)
    arena = np.empty(BATCH_BYTES, np.uint8)
    cursor = np.zeros(4, np.int64)
    classes = character_classes()
    for data, ends in _batches(texts):
        cursor[:2] = 0
        arena = _with_room(arena, int(cursor[3]) + len(data))
        while not kernels.count_words(
            data, ends, cursor, classes, RULES[rule], slots, hashes, starts, lengths, counts, arena
        ):
            slots = np.full(len(slots) * 2, -1, np.int32)
            hashes, starts = _with_room(hashes, len(slots)), _with_room(starts, len(slots))
            lengths, counts = _with_room(lengths, len(slots)), _with_room(counts, len(slots))
            kernels.fill_slots(slots, hashes, int(cursor[2]))
    n_words, used = int(cursor[2]), int(cursor[3])
    return WordCounts(arena[:used], starts[:n_words], lengths[:n_words], counts[:n_words])


def learn_merges(
    words: WordCounts, symbols: npt.NDArray[np.int32], tokens: list[bytes], vocab_size: int, min_frequency: int
) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Learn merges over counted words.

    Args:
        words: The words.
        symbols: (n_bytes,) int32, the ids that `words.text` begins with, one for each byte.
        tokens: The text of the tokens there are, control tokens among them; texts that are equal are one token.
        vocab_size: Tokens wanted in all.
        min_frequency: Least count of a pair that is merged.

    Returns:
        All tokens by id, and the merges as pairs of ids in the order in which they apply. A pair that
        `tokenizers` merges twice stands where it did so last.
    """
    from model.tokenizer.engines import bpe_training_kernels as kernels

    token_starts, token_lengths = np.zeros(vocab_size, np.int64), np.zeros(vocab_size, np.int32)
    token_lengths[: len(tokens)] = [len(token) for token in tokens]
    token_starts[: len(tokens)] = np.cumsum(token_lengths[: len(tokens)]) - token_lengths[: len(tokens)]
    learned, _ = kernels.learn_merges(
        symbols, words.starts, words.lengths.copy(), words.counts,
        np.frombuffer(bytearray().join(tokens), np.uint8), token_starts, token_lengths,
        len(tokens), vocab_size, min_frequency,
    )  # fmt: skip
    tokens = list(tokens)
    places: dict[tuple[int, int], int] = {}
    for place, (left, right, new) in enumerate(learned.tolist()):
        if new == len(tokens):
            tokens.append(tokens[left] + tokens[right])
        places[left, right] = place
    return tokens, sorted(places, key=places.__getitem__)


def _batches(texts: Iterable[str]) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Texts as UTF-8, end to end, about a megabyte at a time, with the places where they end."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        data = text.encode("utf-8")
        batch.append(data)
        size += len(data)
        if size >= BATCH_BYTES:
            yield _joined(batch)
            batch, size = [], 0
    if batch:
        yield _joined(batch)


def _joined(batch: list[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    return np.frombuffer(b"".join(batch), np.uint8), np.cumsum([len(data) for data in batch], dtype=np.int64)


def count_words_by_chain(texts: Iterable[str], pre_tokenizer: Any, normalizer: Any | None) -> WordCounts:
    """The same by a `tokenizers` pre-tokenizer that ends with bytes, for every other chain of rules."""
    from model.tokenizer.engines.hugging_face import cuttable

    cut = normalizer is None and cuttable({"pre_tokenizer": json.loads(pre_tokenizer.__getstate__())})
    counted: dict[str, int] = {}
    for text in texts:
        for piece in pieces(text) if cut else (text,):
            whole = piece if normalizer is None else normalizer.normalize_str(piece)
            for word, _ in pre_tokenizer.pre_tokenize_str(whole):
                counted[word] = counted.get(word, 0) + 1
    words = [(unspelled(word) or b"", count) for word, count in counted.items() if len(word) > 1]
    lengths = np.array([len(word) for word, _ in words], np.int32)
    joined = np.frombuffer(b"".join([word for word, _ in words]), np.uint8)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return WordCounts(joined, starts, lengths, np.array([count for _, count in words], np.int64))


def _with_room(array: npt.NDArray[np.generic], size: int) -> npt.NDArray:  # type: ignore[type-arg]
    """The array itself if it has `size` items, else a copy with room for twice as many."""
    if len(array) >= size:
        return array
    larger = np.empty(2 * size, array.dtype)
    larger[: len(array)] = array
    return larger
