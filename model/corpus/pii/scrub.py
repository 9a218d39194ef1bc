"""Finds personal data in a text and replaces it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from model.corpus.pii.actions import check_key, replacement
from model.corpus.pii.addresses import find_addresses
from model.corpus.pii.cards import find_cards
from model.corpus.pii.config import Kind, PiiConfig
from model.corpus.pii.emails import find_emails, find_url_credentials
from model.corpus.pii.ibans import find_ibans
from model.corpus.pii.national_ids import find_national_ids
from model.corpus.pii.phones import find_phones
from model.corpus.pii.secrets import find_secrets
from model.corpus.pii.shape import Prepared, prepare
from model.corpus.pii.spans import Span, resolve
from model.errors import ConfigError

Finder = Callable[[Prepared], Iterable[Span]]
FINDERS: dict[Kind, Finder] = {
    "secret": find_secrets,
    "url_credentials": find_url_credentials,
    "email": find_emails,
    "iban": find_ibans,
    "card": find_cards,
    "national_id": find_national_ids,
    "phone": find_phones,
    "ip": find_addresses,
}


@dataclass(frozen=True)
class Scrubbed:
    """A text without what was looked for.

    Attributes:
        text: The text with every finding replaced; the same object where nothing was found.
        found: Number of findings by kind.
    """

    text: str
    found: Counter[str] = field(default_factory=Counter)


class PiiScrubber:
    """Replaces personal data as a `PiiConfig` says; holds no state between texts.

    Raises:
        ConfigError: The action `hash` has no key or one too short, or the recogniser of names is not installed.
    """

    def __init__(self, config: PiiConfig, key: bytes | None = None) -> None:
        self.config = config
        self._key = key
        self._finders: dict[Kind, Finder] = {kind: FINDERS[kind] for kind in config.kinds if kind in FINDERS}
        hashes = any(config.action_for(kind) == "hash" for kind in config.kinds)
        if hashes:
            check_key(key)
        if hashes and key is None:
            raise ConfigError(
                "pii: the action `hash` has no key: set the environment variable TISSLM_PII_KEY to at least 16 "
                "characters that you keep secret, or choose redact or mask"
            )
        if config.names:
            from model.corpus.pii.names import name_finder

            self._finders["name"] = name_finder(config.names)

    def find(self, text: str) -> list[Span]:
        """All findings in a text, in order, none overlapping another."""
        prepared = prepare(text)
        return resolve(span for finder in self._finders.values() for span in finder(prepared))

    def scrub(self, text: str) -> Scrubbed:
        """A text with all findings replaced, and their number by kind."""
        spans = self.find(text)
        if not spans:
            return Scrubbed(text)
        pieces, place, found = [], 0, Counter[str]()
        for span in spans:
            value = text[span.start : span.end]
            pieces += [
                text[place : span.start],
                replacement(value, span.kind, self.config.action_for(span.kind), self._key),
            ]
            place = span.end
            found[span.kind] += 1
        return Scrubbed("".join([*pieces, text[place:]]), found)
