"""The tokens of a text, written so that a person sees every byte and a terminal obeys none."""

from __future__ import annotations

from dataclasses import dataclass

from model.tokenizer.tokenizer import Tokenizer

VISIBLE = {" ": "·", "\n": "↵", "\t": "→", "\r": "←"}


@dataclass(frozen=True)
class TokenSpan:
    """One token of a text.

    Attributes:
        token_id: Its id.
        data: Its bytes; they may be a part of a character.
        ends_line: Whether a line of the text ends with it.
    """

    token_id: int
    data: bytes
    ends_line: bool

    @property
    def shown(self) -> str:
        """Its bytes for the eye; see `shown`."""
        return shown(self.data)


def token_spans(tokenizer: Tokenizer, text: str) -> list[TokenSpan]:
    """The tokens of a text, in order.

    Raises:
        TokenizerError: The text holds half of a surrogate pair.
    """
    found = []
    for token_id in tokenizer.encode(text):
        data = tokenizer.token_bytes(token_id)
        found.append(TokenSpan(token_id, data, data.endswith(b"\n")))
    return found


def shown(data: bytes) -> str:
    r"""Bytes as printable text: a space is `·`, a newline `↵`, parts of characters and control characters `\x1b`."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
