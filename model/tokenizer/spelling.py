"""The bytes behind every id."""

from __future__ import annotations

import re
from typing import Any

from model.errors import TokenizerError
from model.tokenizer.alphabet import unspelled

INSIDE_WORD = "\u203f"
"""Before the tokens of a WordPiece vocabulary that continue a word; no byte's stand-in."""

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def byte_table(settings: dict[str, Any], special: set[int], vocab_size: int, where: str) -> list[bytes]:
    """The bytes of every id of a tokenizer, empty for control tokens.

    Raises:
        TokenizerError: An id is no token made of bytes.
    """
    added = {token["id"]: token["content"] for token in settings.get("added_tokens") or () if not token["special"]}
    by_character = bool(settings["model"].get("byte_fallback"))
    prefix = INSIDE_WORD if settings["model"].get("continuing_subword_prefix") == INSIDE_WORD else ""
    table: list[bytes] = []
    for token_id, token in enumerate(_names(settings, vocab_size)):
        if token_id in special and token is not None:
            data: bytes | None = b""
        elif token_id in added:
            data = added[token_id].encode("utf-8")
        elif token is None:
            data = None
        else:
            data = _character_bytes(token) if by_character else unspelled(token.removeprefix(prefix))
        if data is None:
            raise TokenizerError(
                f"{where}: id {token_id} is {token!r}, expected a token made of bytes; use a byte-level tokenizer"
            )
        table.append(data)
    return table


def _names(settings: dict[str, Any], vocab_size: int) -> list[str | None]:
    """The token of every id, `None` for an id that has none."""
    vocabulary = settings["model"]["vocab"]
    names: list[str | None] = [None] * vocab_size
    numbered = vocabulary.items() if isinstance(vocabulary, dict) else ((row[0], i) for i, row in enumerate(vocabulary))
    both = (numbered, ((token["content"], token["id"]) for token in settings.get("added_tokens") or ()))
    for token, token_id in (pair for pairs in both for pair in pairs):
        if token_id < vocab_size:
            names[token_id] = token
    return names


def _character_bytes(token: str) -> bytes | None:
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte:
        return bytes([int(byte[1], 16)])
    return token.encode("utf-8") if len(token) == 1 else None
