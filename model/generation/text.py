"""A text that grows by bytes: whole characters only, cut before a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class GrowingText:
    """Turns tokens' bytes into text as they come.

    A character whose bytes are not all there yet is held back, and so is an end that may become a stop string, so what
    was once taken is never taken back. Bytes that can be no character become U+FFFD; an incomplete character at the
    very end is left out.

    Args:
        stop: The text ends before the one of these strings that is complete first, wherever tokens begin and end.

    Attributes:
        text: All text so far.
        stopped: Whether a stop string was found; the text ends before it.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.text = ""
        self.stopped = False
        self._stop = tuple(stop)
        self._longest = max(map(len, stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._taken = 0

    def add(self, data: bytes) -> None:
        """Add the bytes of one token."""
        if self.stopped:
            return
        unsearched = max(0, len(self.text) - self._longest + 1)
        self.text += self._decoder.decode(data)
        found = [(at + len(stop), at) for stop in self._stop if (at := self.text.find(stop, unsearched)) >= 0]
        if found:
            self.text = self.text[: min(found)[1]]
            self.stopped = True

    def take(self, *, last: bool = False) -> str:
        """The text that is sure and was not taken before; `last` says that nothing more will be added."""
        sure = len(self.text) - (0 if last or self.stopped else self._held_back())
        piece = self.text[self._taken : sure]
        self._taken = max(self._taken, sure)
        return piece

    def _held_back(self) -> int:
        """Length of the longest end of the text that begins a stop string."""
        for length in range(min(self._longest - 1, len(self.text)), 0, -1):
            if any(stop.startswith(self.text[-length:]) for stop in self._stop):
                return length
        return 0
