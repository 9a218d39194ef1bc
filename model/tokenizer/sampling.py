"""Subword regularization: a text in another segmentation each time, while a model is trained and never after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.tokenizer.alphabet import unspelled
from model.tokenizer.engines.added import with_added_tokens
from model.tokenizer.engines.byte_pairs import BytePairModel, byte_pair_model, known_rule
from model.tokenizer.engines.hugging_face import cuttable
from model.tokenizer.pretokenization import pieces

Ids = npt.NDArray[np.uint32]
Words = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


class Sampler:
    """Draws segmentations of texts for one tokenizer."""

    def __init__(self, settings: dict[str, Any], inner: Any) -> None:
        """Prepare for the `tokenizers.Tokenizer` made from `settings`.

        Raises:
            TokenizerError: The kind has one segmentation only.
        """
        model = byte_pair_model(settings["model"], "")
        self._settings, self._inner = settings, inner
        self._rule = None if settings.get("normalizer") else known_rule(settings.get("pre_tokenizer"))
        self._cut = cuttable(settings)
        self._pairs = _BytePairs(model) if model is not None and len(model.merges) else None
        self._unigram = _Unigram(settings) if settings["model"].get("type") == "Unigram" else None
        if self._pairs is None and self._unigram is None:
            raise TokenizerError(
                "tokenize.subword_regularization: this tokenizer has one segmentation for each text, expected kind bpe "
                "or unigram; set tokenizer.kind or leave tokenize.subword_regularization empty"
            )

    def sample(self, text: str, generator: np.random.Generator, *, dropout: float, alpha: float) -> Ids:
        """The ids of a random segmentation; see `Tokenizer.sample_encode`."""
        pairs, unigram = self._pairs, self._unigram

        def segment(words: Words) -> Ids:
            if pairs is not None:
                return pairs.segment(words, dropout, generator)
            return unigram.segment(words, alpha, generator) if unigram is not None else np.empty(0, np.uint32)

        engine = with_added_tokens(_Drawing(self._words, segment, self._cut), self._settings)
        if engine is None:
            raise TokenizerError(
                "tokenize.subword_regularization: the tokenizer has added tokens that strip white space or match whole "
                "words, which sampling does not know; leave tokenize.subword_regularization empty"
            )
        return engine.encode(text)

    def _words(self, text: str) -> Words:
        """The bytes of a text's words, end to end, and where each word ends."""
        if self._rule is not None:
            from model.tokenizer.engines.bpe_training import RULES
            from model.tokenizer.engines.character_classes import character_classes
            from model.tokenizer.engines.word_kernels import word_borders

            data = np.frombuffer(text.encode("utf-8"), np.uint8)
            ends = np.empty(len(data), np.int64)
            return data, ends[: word_borders(data, character_classes(), RULES[self._rule], ends)]
        whole = text if self._inner.normalizer is None else self._inner.normalizer.normalize_str(text)
        words = [unspelled(word) or b"" for word, _ in self._inner.pre_tokenizer.pre_tokenize_str(whole)]
        return np.frombuffer(b"".join(words), np.uint8), np.cumsum([len(word) for word in words], dtype=np.int64)


class _Drawing:
    """An engine that draws; made for one call."""

    name = "sampling"

    def __init__(self, words: Callable[[str], Words], segment: Callable[[Words], Ids], cut: bool) -> None:
        self._words = words
        self._cut = cut
        self._segment = segment

    def encode(self, text: str) -> Ids:
        """A segmentation of one text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """A segmentation of each text."""
        return [np.concatenate([self._segment(self._words(part)) for part in self._parts(text)]) for text in texts]

    def _parts(self, text: str) -> Iterable[str]:
        return pieces(text) if self._cut else (text,)


class _BytePairs:
    """BPE-dropout."""

    def __init__(self, model: BytePairModel) -> None:
        from model.tokenizer.engines.encoding_kernels import enter_merges

        self._byte_ids = model.byte_ids
        self._merges = np.zeros((1 << max(10, (2 * len(model.merges)).bit_length()), 2), np.int64)
        enter_merges(self._merges, model.merges)

    def segment(self, words: Words, dropout: float, generator: np.random.Generator) -> Ids:
        """Ids by BPE without the merges that are dropped."""
        from model.tokenizer.engines.sampling_kernels import drop_merges

        data, ends = words
        out = np.empty(len(data), np.uint32)
        state = generator.integers(0, 1 << 64, 1, np.uint64)
        return out[: drop_merges(data, ends, self._byte_ids, self._merges, dropout, state, out)].copy()


class _Unigram:
    """Unigram sampling."""

    def __init__(self, settings: dict[str, Any]) -> None:
        from model.tokenizer.engines.unigram_kernels import piece_table

        special = {token["content"] for token in settings.get("added_tokens") or ()}
        rows = [(token, score, number) for number, (token, score) in enumerate(settings["model"]["vocab"])]
        kept = [(unspelled(token) or b"", score, number) for token, score, number in rows if token not in special]
        self._text = np.frombuffer(b"".join(piece for piece, _, _ in kept), np.uint8)
        lengths = np.array([len(piece) for piece, _, _ in kept], np.int32)
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        self._table = (*piece_table(self._text, starts, lengths), starts, lengths)
        self._scores = np.array([score for _, score, _ in kept], np.float64)
        self._ids = np.array([number for _, _, number in kept], np.uint32)

    def segment(self, words: Words, alpha: float, generator: np.random.Generator) -> Ids:
        """Ids of pieces drawn by their probability to the power of `alpha`."""
        from model.tokenizer.engines.unigram_kernels import sample_words

        data, ends = words
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
        out = np.empty(len(data), np.int64)
        n = sample_words(
            data, starts, (ends - starts).astype(np.int32), self._table, self._text, self._scores, alpha,
            generator.random(len(data)), out,
        )  # fmt: skip
        return self._ids[out[:n]]


def sampler(settings: dict[str, Any], inner: Any) -> Sampler:
    """See `Sampler`."""
    return Sampler(settings, inner)
