"""Bytes as printable characters, as byte-level vocabularies write them."""

from __future__ import annotations

from functools import cache


@cache
def stand_ins() -> dict[int, str]:
    """The printable character for every byte (`bytes_to_unicode` in github.com/openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    characters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in characters]
    return characters | {byte: chr(256 + index) for index, byte in enumerate(others)}


@cache
def byte_of() -> dict[str, int]:
    """The byte for which each stand-in stands."""
    return {character: byte for byte, character in stand_ins().items()}


def alphabet() -> list[str]:
    """The stand-ins in the order in which vocabularies list them."""
    return sorted(stand_ins().values())


def spelled(data: bytes) -> str:
    """Bytes in stand-ins."""
    return data.decode("latin-1").translate(_to_stand_ins())


def unspelled(token: str) -> bytes | None:
    """Stand-ins as bytes, `None` if there is another character among them."""
    try:
        return token.translate(_to_bytes()).encode("latin-1")
    except UnicodeEncodeError:
        return None


@cache
def _to_stand_ins() -> dict[int, str]:
    return dict(stand_ins())


@cache
def _to_bytes() -> dict[int, str]:
    """From the code point of each stand-in to its byte; other characters below 256 to one that is no byte."""
    others = dict.fromkeys(range(256), "\uffff")
    return others | {ord(character): chr(byte) for byte, character in stand_ins().items()}
