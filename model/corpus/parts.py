"""Long texts become several documents, cut where a reader would cut them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CUTS = ("\n\n", "\n", " ")


def split_parts(pieces: Iterable[str], max_characters: int) -> Iterator[str]:
    """A text that arrives in pieces, as parts of at most `max_characters`, whose concatenation is the text.

    A part ends after the last blank line before the limit; failing that, the last line end, the last space, the limit
    itself. A cut in the first half of a part is not taken, so that parts do not get arbitrarily short.
    """
    held: list[str] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += len(piece)
        if n_held <= max_characters:
            continue
        text = "".join(held)
        start = 0
        while len(text) - start > max_characters:
            end = _cut(text, start, start + max_characters)
            yield text[start:end]
            start = end
        held, n_held = [text[start:]], len(text) - start
    if n_held:
        yield "".join(held)


def _cut(text: str, start: int, limit: int) -> int:
    half = start + (limit - start) // 2
    for mark in CUTS:
        found = text.rfind(mark, half, limit)
        if found >= 0:
            return found + len(mark)
    return limit
