"""How much of a text does not come back from its tokens.

A tokenizer that lower-cases, folds or cannot spell a text makes it easier to predict and its bits per byte smaller:
the model then predicts another, poorer text. What is lost is counted, so that nobody takes that for a better model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from model.tokenizer.tokenizer import Tokenizer

PIECES = re.compile(r"\s{1,64}|\S{1,64}")


@dataclass(frozen=True)
class LostText:
    """What is lost of some text.

    Attributes:
        characters: Characters that do not come back.
        bytes: Their UTF-8 bytes.
        of_bytes: UTF-8 bytes of the whole text.
    """

    characters: int
    bytes: int
    of_bytes: int

    @property
    def share(self) -> float:
        """The lost part of the bytes."""
        return self.bytes / max(1, self.of_bytes)


def lost_text(tokenizer: Tokenizer, pairs: Iterable[tuple[str, bytes]]) -> LostText:
    """Count what is lost of texts, piece by piece (words and white space); what a tokenizer adds is no loss.

    Args:
        tokenizer: Whose tokens they were.
        pairs: Each text, and what its tokens decode to.
    """
    cache: dict[str, tuple[int, int]] = {}
    characters = n_bytes = total = 0
    for text, back in pairs:
        raw = text.encode("utf-8")
        total += len(raw)
        if raw == back:
            continue
        lost = [0, 0]
        for piece in PIECES.findall(text):
            if piece not in cache:
                cache[piece] = _lost_of(piece, tokenizer.decode(tokenizer.encode(piece)))
            lost[0] += cache[piece][0]
            lost[1] += cache[piece][1]
        if not lost[0] and raw not in back:  # only the pieces together lose something
            lost = [1, 1]
        characters, n_bytes = characters + lost[0], n_bytes + lost[1]
    return LostText(characters, n_bytes, total)


def _lost_of(piece: str, back: str) -> tuple[int, int]:
    """Characters of a piece that are not in what came back, and their bytes."""
    if piece == back:
        return 0, 0
    kept = "".join(
        piece[block.a : block.a + block.size]
        for block in SequenceMatcher(None, piece, back, autojunk=False).get_matching_blocks()
    )
    return len(piece) - len(kept), len(piece.encode("utf-8")) - len(kept.encode("utf-8"))


def predicted_bytes(text: str, back: bytes) -> int:
    """The bytes that a model's nats are divided by: of the text or of what it predicted, whichever is shorter."""
    return min(len(text.encode("utf-8")), len(back))
