"""Added tokens that text may become (control tokens never): found before any engine sees the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model.tokenizer.engines.engine import EncodingEngine

Ids = npt.NDArray[np.uint32]


class AddedTokensEngine:
    """Cuts texts at added tokens, the leftmost and of those the longest first, and leaves the rest to an engine."""

    def __init__(self, engine: EncodingEngine, ids: dict[str, int]) -> None:
        """Put `ids` of added tokens before `engine`."""
        self.name = engine.name
        self._engine = engine
        self._ids = ids
        longest_first = sorted(ids, key=lambda token: (-len(token), token))
        self._expression = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        parts = [self._expression.split(text) for text in texts]
        between = iter(self._engine.encode_batch([piece for split in parts for piece in split[::2]]))
        found: list[Ids] = []
        for split in parts:
            arrays = [
                next(between) if place % 2 == 0 else np.array([self._ids[piece]], np.uint32)
                for place, piece in enumerate(split)
            ]
            found.append(np.concatenate(arrays))
        return found


def with_added_tokens(engine: EncodingEngine, settings: dict[str, Any]) -> EncodingEngine | None:
    """The engine, behind a search for the added tokens that are no control tokens, if there are any.

    `None` if one of them strips white space around it or matches whole words only, which is not known here.
    """
    added = [token for token in settings.get("added_tokens") or () if not token["special"]]
    if not added:
        return engine
    if any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added):
        return None
    return AddedTokensEngine(engine, {token["content"]: token["id"] for token in added})
