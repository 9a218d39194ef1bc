"""The vocabulary as rows: what each id is, how it came about, how often a text uses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.views.spans import shown

Kind = Literal["control", "byte", "learned"]


@dataclass(frozen=True)
class VocabularyRow:
    """One id.

    Attributes:
        token_id: The id.
        token: Its bytes for the eye; the name of a control token.
        data: Its bytes; empty for a control token.
        kind: Control token, single byte or learned.
        rank: Number of its merge from 0, None without one.
        uses: How often the measured text has it, None when nothing was measured.
    """

    token_id: int
    token: str
    data: bytes
    kind: Kind
    rank: int | None
    uses: int | None


def vocabulary_rows(
    tokenizer: Tokenizer, uses: npt.NDArray[np.int64] | Sequence[int] | None = None
) -> list[VocabularyRow]:
    """All ids, in order."""
    content = json.loads(tokenizer.content)
    control = {entry["id"]: entry["content"] for entry in content["added_tokens"] if entry.get("special")}
    ranks: dict[int, int] = {}
    model = content["model"]
    for rank, merge in enumerate(model.get("merges") or ()):
        ranks.setdefault(model["vocab"]["".join(merge.split(" ") if isinstance(merge, str) else merge)], rank)
    rows = []
    for token_id in range(tokenizer.vocab_size):
        count = None if uses is None else int(uses[token_id])
        if token_id in control:
            rows.append(VocabularyRow(token_id, _plain(control[token_id]), b"", "control", None, count))
            continue
        data = tokenizer.token_bytes(token_id)
        kind: Kind = "byte" if len(data) == 1 else "learned"
        rows.append(VocabularyRow(token_id, shown(data), data, kind, ranks.get(token_id), count))
    return rows


def matching(rows: Sequence[VocabularyRow], wanted: str) -> list[VocabularyRow]:
    """The rows whose token has a text in it, or whose id is `#123`, or whose bytes have `0xe282`."""
    wanted = wanted.strip()
    if wanted.startswith("#") and wanted[1:].isdecimal():
        return [row for row in rows if row.token_id == int(wanted[1:])]
    if wanted.lower().startswith("0x"):
        digits = wanted[2:].lower().replace(" ", "")
        return [row for row in rows if digits in row.data.hex()]
    plain = _plain(wanted.casefold())
    return [row for row in rows if plain in row.token.casefold()]


def _plain(text: str) -> str:
    return shown(text.encode("utf-8", "surrogatepass"))
