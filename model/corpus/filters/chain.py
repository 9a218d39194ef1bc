"""Texts through the configured filters, one after the other; the first that gives a reason decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.corpus.filters.batch import Batch, TextFilter
from model.corpus.filters.c4 import C4
from model.corpus.filters.character_classes import CharacterClasses
from model.corpus.filters.config import FilterConfig
from model.corpus.filters.fineweb import FineWeb
from model.corpus.filters.gopher_quality import GopherQuality
from model.corpus.filters.gopher_repetition import GopherRepetition
from model.corpus.filters.language import Language
from model.corpus.filters.length import Length
from model.corpus.filters.pattern import Pattern
from model.corpus.filters.toxicity import Toxicity

FILTERS: dict[str, Callable[[Any], TextFilter]] = {
    "length": Length,
    "character_classes": CharacterClasses,
    "gopher_quality": GopherQuality,
    "gopher_repetition": GopherRepetition,
    "c4": C4,
    "fineweb": FineWeb,
    "language": Language,
    "toxicity": Toxicity,
    "pattern": Pattern,
}


@dataclass(frozen=True)
class Verdict:
    """What became of a text.

    Attributes:
        text: The text as the filters left it; of a dropped one, as the filter that dropped it found it.
        reason: Why it is dropped, a key of `FilterChain.reasons`; empty for one that stays.
        changed: The filters that changed it.
        language: The language that a filter recognized, where it corrects the tag; else empty.
    """

    text: str
    reason: str = ""
    changed: tuple[str, ...] = ()
    language: str = ""


class FilterChain:
    """The filters of a configuration.

    Attributes:
        reasons: What each reason means, by reason (`gopher_quality.too_few_words`), in the order of the filters.
    """

    def __init__(self, configs: Sequence[FilterConfig]) -> None:
        self.names: list[str] = []
        self.reasons: dict[str, str] = {}
        self._filters: list[TextFilter] = []
        self._rules: list[list[str]] = []
        for config in configs:
            judge = FILTERS[config.filter](config)
            name = _free_name(config.filter, self.names)
            keys = [f"{name}.{rule}" for rule in judge.rules]
            self.names.append(name)
            self.reasons.update(zip(keys, judge.rules.values(), strict=True))
            self._filters.append(judge)
            self._rules.append(keys)

    def judge(self, texts: Sequence[str], languages: Sequence[str] | None = None) -> list[Verdict]:
        """Judge some texts; each by itself, so that any batches give the same.

        Args:
            texts: Texts; words of all of them are held at once, so give some megabytes.
            languages: Their language tags, if known.
        """
        now, tags = list(texts), list(languages) if languages is not None else [""] * len(texts)
        reasons, changed = [""] * len(now), [()] * len(now)
        recognized = [""] * len(now)
        places = np.arange(len(now))  # of the batch's texts among all
        batch = Batch(now, tags, np.ones(len(now), bool))
        for name, judge, keys in zip(self.names, self._filters, self._rules, strict=True):
            if not batch.alive.any():
                break
            said = judge.judge(batch)
            rules = np.where(batch.alive, said.rules, -1)
            for i in np.flatnonzero(rules >= 0).tolist():
                reasons[places[i]] = keys[rules[i]]
            alive = batch.alive & (rules < 0)
            for i, text in said.texts.items():
                if alive[i]:
                    now[places[i]], changed[places[i]] = text, (*changed[places[i]], name)
            for i, tag in said.languages.items():
                if alive[i]:
                    recognized[places[i]] = tags[places[i]] = tag
                    changed[places[i]] = (*changed[places[i]], name)
            if said.texts or alive.sum() * 2 < len(alive):  # words have to be cut again, or most of them are of no use
                places = places[alive]
                batch = Batch([now[k] for k in places], [tags[k] for k in places], np.ones(len(places), bool))
            else:
                batch.alive[:] = alive
        return [Verdict(*row) for row in zip(now, reasons, changed, recognized, strict=True)]


def _free_name(name: str, taken: Sequence[str]) -> str:
    """The name, with a number when the filter is there twice."""
    n, free = 1, name
    while free in taken:
        n += 1
        free = f"{name}_{n}"
    return free
