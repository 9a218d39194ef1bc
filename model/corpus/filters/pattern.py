"""Keeps or drops texts in which a regular expression is found, in time linear in the text.

Expressions are RE2's (github.com/google/re2/wiki/Syntax), which cannot run away: a limit in seconds around a
backtracking engine would make what is kept depend on the machine. What RE2 cannot do (looking around, references back
to groups) is refused when the configuration is read.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from model.corpus.filters.batch import Batch, Judgement
from model.corpus.filters.config import PatternFilterConfig

MEMORY_BYTES = 64 << 20


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """The compiled expression, for UTF-8 bytes.

    Raises:
        ValueError: RE2 cannot compile it.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    try:
        return re2.compile(pattern.encode("utf-8", "surrogatepass"), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(
            f"expected a regular expression in RE2 syntax (no look-around, no references back), got {pattern!r}: {text}"
        ) from None


class Pattern:
    """Judges batches by whether an expression is found in them."""

    def __init__(self, config: PatternFilterConfig) -> None:
        self.config = config
        often = f" {config.min_matches} times" if config.min_matches > 1 else ""
        found = "has" if config.texts_with_it == "drop" else "lacks"
        self.rules = {config.name: f"{found} {config.pattern}{often}"}

    def judge(self, batch: Batch) -> Judgement:
        """Texts in which the expression is found, or not found."""
        drops_found = self.config.texts_with_it == "drop"
        found = np.array([lives and self._is_found(text) for text, lives in zip(batch.texts, batch.alive, strict=True)])
        return Judgement(np.where(found == drops_found, 0, -1))

    def _is_found(self, text: str) -> bool:
        expression = compile_pattern(self.config.pattern)
        utf8 = text.encode("utf-8", "replace")  # a lone surrogate, which no UTF-8 has, is a question mark here
        if self.config.min_matches == 1:
            return expression.search(utf8) is not None
        matches = enumerate(expression.finditer(utf8), start=1)
        return any(n == self.config.min_matches for n, _ in matches)
