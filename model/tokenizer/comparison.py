"""How fast a tokenizer encodes a text, beside Hugging Face's `tokenizers` and others with the same file."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.tokenizer.tokenizer import Tokenizer

PIECE = 50_000
Encode = Callable[[Sequence[str]], Sequence[Any]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodingSpeed:
    """One engine's result.

    Attributes:
        engine: Its name.
        megabytes_per_second: UTF-8 megabytes for each second of CPU time (all threads), median of the rounds.
        same_ids: Whether each text has the ids of Hugging Face.
    """

    engine: str
    megabytes_per_second: float
    same_ids: bool


def compare_encoding(tokenizer: Tokenizer, texts: Sequence[str], rounds: int = 3) -> list[EncodingSpeed]:
    """Encode texts with each engine, fastest first.

    The texts, long ones in pieces, are dealt into `rounds + 1` parts; the first warms an engine up and is not
    measured, each other part is encoded once by each engine in turn, so that no engine sees a text again.
    """
    engines: dict[str, Encode] = {
        "Hugging Face tokenizers": _hugging_face(tokenizer),
        "TissLM": tokenizer.encode_arrays,
    }
    engines |= _peers(tokenizer)
    texts = [text[at : at + PIECE] for text in texts for at in range(0, len(text), PIECE)]
    parts = [part for part in (texts[start :: rounds + 1] for start in range(rounds + 1)) if part]
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    same = dict.fromkeys(engines, True)
    for number, part in enumerate(parts):
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in part)
        expected: Sequence[Any] = ()
        for name, encode in engines.items():
            began = time.process_time()
            found = encode(part)
            seconds = time.process_time() - began
            expected = expected or found
            same[name] &= all(np.array_equal(ids, other) for ids, other in zip(found, expected, strict=True))
            if number or len(parts) == 1:
                speeds[name].append(size / 1e6 / max(1e-9, seconds))
    rows = [EncodingSpeed(name, float(np.median(speeds[name])), same[name]) for name in engines]
    return sorted(rows, key=lambda row: -row.megabytes_per_second)


def _hugging_face(tokenizer: Tokenizer) -> Encode:
    import tokenizers

    inner = tokenizers.Tokenizer.from_str(tokenizer.content)
    inner.encode_special_tokens = True

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [e.ids for e in inner.encode_batch_fast(list(texts), add_special_tokens=False)]

    return encode


def _peers(tokenizer: Tokenizer) -> dict[str, Encode]:
    """Other libraries, where they are installed and open the same file."""
    found: dict[str, Encode] = {}
    for name, load in {"tokie": _tokie, "gigatoken": _gigatoken}.items():
        try:
            found[name] = load(tokenizer.content)
        except ImportError:
            continue
        except Exception as error:  # noqa: BLE001  (whatever a peer raises, the others go on)
            logger.warning(
                "%s cannot open this tokenizer and is left out: %s", name, " ".join(str(error).split())[:200]
            )
    return found


def _tokie(content: str) -> Encode:
    import tokie

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        opened: Any = tokie.Tokenizer.from_json(file.name)
    return lambda texts: [e.ids for e in opened.encode_batch(list(texts), add_special_tokens=False)]


def _gigatoken(content: str) -> Encode:
    import gigatoken

    opened: Any = gigatoken.Tokenizer.from_json(content.encode("utf-8"))
    return lambda texts: opened.encode_batch_list(list(texts))
