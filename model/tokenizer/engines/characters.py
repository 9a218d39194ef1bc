"""The kinds `char` and `byte`: one look-up for each character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.alphabet import stand_ins

Ids = npt.NDArray[np.uint32]


class CharacterEngine:
    """Characters of the vocabulary as one id, others as the ids of their bytes."""

    name = "characters"

    def __init__(self, ids: npt.NDArray[np.int64], byte_ids: Ids) -> None:
        """Encode by `ids` (0x110000,), -1 where a character has none, and `byte_ids` (256,)."""
        self._ids = ids
        self._byte_ids = byte_ids

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        return [self.encode(text) for text in texts]

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        ids = self._ids[points]
        missing = np.flatnonzero(ids < 0)
        if not len(missing):
            return ids.astype(np.uint32)
        spelled = [chr(point).encode("utf-8") for point in points[missing].tolist()]
        widths = np.ones(len(points), np.int64)
        widths[missing] = [len(data) for data in spelled]
        out = np.repeat(ids, widths)
        out[out < 0] = self._byte_ids[np.frombuffer(b"".join(spelled), np.uint8)]
        return out.astype(np.uint32)


class ByteEngine:
    """Every byte as its id."""

    name = "bytes"

    def __init__(self, byte_ids: Ids) -> None:
        """Encode by `byte_ids` (256,)."""
        self._byte_ids = byte_ids

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        return [self.encode(text) for text in texts]

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        return self._byte_ids[np.frombuffer(text.encode("utf-8"), np.uint8)]


def byte_engine(settings: dict[str, Any]) -> ByteEngine | None:
    """The engine of a `tokenizer.json` of kind `byte`, `None` for any other."""
    model, rule = settings["model"], settings.get("pre_tokenizer") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback") or model["merges"] or settings.get("normalizer"):
        return None
    if rule.get("type") != "ByteLevel" or rule.get("use_regex", True) or rule.get("add_prefix_space"):
        return None
    return ByteEngine(np.array([model["vocab"][stand_ins()[byte]] for byte in range(256)], np.uint32))


def character_engine(settings: dict[str, Any]) -> CharacterEngine | None:
    """The engine of a `tokenizer.json` of kind `char` as `character_tokenizer` makes it, `None` for any other."""
    model = settings["model"]
    if model.get("type") != "BPE" or not model.get("byte_fallback") or model["merges"]:
        return None
    if settings.get("normalizer") or settings.get("pre_tokenizer"):
        return None
    special = {token["content"] for token in settings.get("added_tokens") or ()}
    ids = np.full(0x110000, -1, np.int64)
    for token, token_id in model["vocab"].items():
        if len(token) == 1 and token not in special:
            ids[ord(token)] = token_id
    byte_ids = np.array([model["vocab"][f"<0x{byte:02X}>"] for byte in range(256)], np.uint32)
    return CharacterEngine(ids, byte_ids)
