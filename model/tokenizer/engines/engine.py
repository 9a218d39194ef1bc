# ruff: noqa: E501  (strings that a break would change)
"""The seam behind which texts become ids: the fastest engine that gives exactly the ids of the Hugging Face file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from model.tokenizer.engines.added import with_added_tokens
from model.tokenizer.engines.byte_pairs import recognised
from model.tokenizer.engines.characters import byte_engine, character_engine
from model.tokenizer.engines.hugging_face import HuggingFaceEngine

logger = logging.getLogger(__name__)

Ids = npt.NDArray[np.uint32]


class EncodingEngine(Protocol):
    """Encodes texts without adding or recognising control tokens.

    Attributes:
        name: Shown in reports.
    """

    name: str

    def encode(self, text: str) -> Ids:
        """The ids of one text, (length,) uint32."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text, (length,) uint32; a text holds no half surrogate pairs."""
        ...


@runtime_checkable
class FlatEngine(Protocol):
    """An engine that can give the ids of many texts end to end, without an array for each."""

    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """See `Tokenizer.encode_flat`."""
        ...


BATTERY = (
    "", "a", " ", "\n", "It's 12345 o'clock; they'LL go, I'M\r\n\r\n  done.\n\n\n\tx  \n ", "don't 'S 'ſ ʼn 'Re",
    "def f(x):\n        return {'a': x_1 + 0x1F}  # done\n", "1 22 333 4444 55555 ½ Ⅷ ٣٤٥ 𝟙𝟚", "    \t\u00a0\u2003\u3000 \x0b\x0c\x85\u2028x",
    "naïve café ÀÉ straße e\u0301\u0301 \u0301x", "日本語のテキスト、漢字。 한국어 ไทย हिन्दी العربية עברית ქართული", "🙂👩‍👩‍👧🏽🇵🇱 ☃️ \u200d\ufeff",
    "<|endoftext|><|im_start|>system <|pad|>", "\x00\x01\x1c\x7f\x80\x9f", "a" * 200, "=" * 70 + "\n" + "-" * 33, " " * 90 + "x",
    "https://example.org/a?b=c&d=%20#e", "!!!...???,,,;;;\n\n", "AbCdEfG_hIjK-LmN.OpQ", "\r\r\n\n\r", "ab\u00adcd\u034fef",
)  # fmt: skip
"""Texts that the chosen engine and `tokenizers` encode alike before the engine is used."""


def choose_engine(settings: dict[str, Any], inner: Any) -> EncodingEngine:
    """The fastest engine whose ids equal those of `inner` for a `tokenizer.json`.

    Every candidate first encodes `BATTERY` and is left out with a line in the log where it differs.

    Args:
        settings: The parsed `tokenizer.json`.
        inner: The `tokenizers.Tokenizer` made from it, told to see no special tokens in text.
    """
    reference = HuggingFaceEngine(settings, inner)
    makers: list[Callable[[], EncodingEngine | None]] = [
        lambda: character_engine(settings),
        lambda: byte_engine(settings),
    ]
    model = recognised(settings)
    if model is not None:
        from model.tokenizer.engines.compiled import CompiledEngine
        from model.tokenizer.engines.giga import giga_engine

        compiled = CompiledEngine(model, until_loaded=reference)
        makers += [lambda: giga_engine(model, settings, otherwise=compiled), lambda: compiled]
    for make in makers:
        try:
            made = make()
        except ImportError:
            continue
        candidate = None if made is None else with_added_tokens(made, settings)
        if candidate is None:
            continue
        wrong = _first_difference(candidate, reference)
        if wrong is None:
            return candidate
        logger.warning("tokenizer engine %s left out: its ids of %r differ from Hugging Face's", candidate.name, wrong)
    return reference


def _first_difference(candidate: EncodingEngine, reference: EncodingEngine) -> str | None:
    pairs = zip(candidate.encode_batch(BATTERY), reference.encode_batch(BATTERY), strict=True)
    return next((text for text, (a, b) in zip(BATTERY, pairs, strict=True) if not np.array_equal(a, b)), None)
