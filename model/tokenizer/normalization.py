"""Changes to a text before its words are found. All of them lose something; the default is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.tokenizer.config import Normalizer


def normalizer(names: Sequence[Normalizer]) -> Any | None:
    """The `tokenizers` normalizer that applies the named changes in turn, `None` for no change.

    `nfc`, `nfd`, `nfkc`, `nfkd` are the Unicode normalization forms (UAX 15): those with k also turn `ﬁ` into `fi` and
    `²` into `2`. `strip_accents` removes combining marks and so works after `nfd` or `nfkd`.
    """
    from tokenizers import normalizers

    known: dict[str, Any] = {
        "nfc": normalizers.NFC,
        "nfd": normalizers.NFD,
        "nfkc": normalizers.NFKC,
        "nfkd": normalizers.NFKD,
        "lowercase": normalizers.Lowercase,
        "strip_accents": normalizers.StripAccents,
    }
    steps = [known[name]() for name in names]
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else normalizers.Sequence(steps)
