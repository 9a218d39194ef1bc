"""What a finding is replaced by: its kind, its masked shape, or a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping

from model.corpus.pii.config import Action, Kind
from model.errors import ConfigError

KEY_VARIABLE = "TISSLM_PII_KEY"
FEWEST_KEY_BYTES = 16
SHOWN_DIGITS = 4
HASH_CHARACTERS = 16
SHOWN_AT_END: frozenset[Kind] = frozenset({"card", "iban", "phone", "national_id"})
CASELESS: frozenset[Kind] = frozenset({"email", "iban", "national_id", "ip"})


def key_from_environment(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The key of keyed hashes, from TISSLM_PII_KEY; none if it is not set. It never stands in params.yaml.

    Raises:
        ConfigError: The key is too short to keep anything secret.
    """
    key = environment.get(KEY_VARIABLE, "").encode("utf-8", "surrogateescape") or None
    check_key(key)
    return key


def check_key(key: bytes | None) -> None:
    """Refuse a key that can be guessed, wherever it comes from; none is no mistake yet.

    Raises:
        ConfigError: The key is too short to keep anything secret.
    """
    if key is not None and len(key) < FEWEST_KEY_BYTES:
        raise ConfigError(
            f"{KEY_VARIABLE}: got a key of {len(key)} bytes, expected at least {FEWEST_KEY_BYTES}; "
            'make one with `python -c "import secrets; print(secrets.token_hex(32))"`'
        )


def replacement(value: str, kind: Kind, action: Action, key: bytes | None) -> str:
    """What stands for a value in the text; for the action `hash` a key is needed."""
    if action == "redact":
        return f"[{kind.upper()}]"
    if action == "mask":
        return masked(value, kind)
    assert key is not None, "checked when the scrubber was made"  # noqa: S101
    return f"[{kind.upper()}:{keyed_hash(value, kind, key)}]"


def masked(value: str, kind: Kind) -> str:
    """The value with `*` for letters and digits; the last four of a number's stay, signs and spaces as well."""
    shown = SHOWN_DIGITS if kind in SHOWN_AT_END else 0
    places = [place for place, character in enumerate(value) if character.isalnum()]
    hidden = set(places[: max(len(places) - shown, 0)])
    return "".join("*" if place in hidden else character for place, character in enumerate(value))


def keyed_hash(value: str, kind: Kind, key: bytes) -> str:
    """The first 64 bits of HMAC-SHA256 (RFC 2104) over kind and value, in hex.

    Spellings of one value give one hash: case does not count in an e-mail address, separators not in a number.
    """
    if kind in CASELESS:
        value = value.lower()
    if kind in SHOWN_AT_END:
        value = re.sub(r"[^0-9a-z+]", "", value.lower())
    message = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:HASH_CHARACTERS]
