"""Which control tokens end texts and fill rows: ours, or those that others' `tokenizer_config.json` names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from model.files import read_json
from model.tokenizer.special import END_OF_TEXT, PAD, SPECIAL_TOKENS


@dataclass(frozen=True)
class Roles:
    """Names of control tokens.

    Attributes:
        end_of_text: Begins every document and ends the one before.
        pad: Fills short rows of a batch.
        required: All that must be there.
    """

    end_of_text: str
    pad: str
    required: tuple[str, ...]


OUR_ROLES = Roles(END_OF_TEXT, PAD, SPECIAL_TOKENS)


def roles_in(path: Path, content: str) -> Roles:
    """The roles in a tokenizer of ours or of others.

    Others end a chat's turn with `eos_token`; where they have `<|endoftext|>` too, that is what ended their documents.

    Args:
        path: The `tokenizer_config.json`; where there is none the tokenizer is ours.
        content: The text of the `tokenizer.json` beside it.
    """
    settings = read_json(path) if path.is_file() else {}
    eos, pad = (_name(settings.get(f"{role}_token")) for role in ("eos", "pad"))
    if pad == PAD or eos is None:
        return OUR_ROLES
    added = _added(content)
    end_of_text = END_OF_TEXT if END_OF_TEXT in added else eos
    pad = pad if pad in added else end_of_text
    return Roles(end_of_text, pad, (end_of_text, pad))


def _name(token: object) -> str | None:
    """A token is its name, or a mapping with its name."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def _added(content: str) -> set[str]:
    try:
        return {token["content"] for token in json.loads(content)["added_tokens"]}
    except (ValueError, TypeError, KeyError):
        return set()  # damaged; opening it says so
