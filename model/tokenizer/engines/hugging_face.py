"""The reference engine: Hugging Face `tokenizers` itself, for every kind and rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import TokenizerError
from model.tokenizer.pretokenization import CONTROL_GUARD, pieces
from model.tokenizer.rules import ABC, CODE, CUTTING, GPT2, GPT4, KEEPING, O200K

CHARACTERS_AT_ONCE = 1_000_000
WORDS = (GPT2, GPT4, O200K, CODE)
"""The rules in which a word that holds a letter ends with one."""

Ids = npt.NDArray[np.uint32]


class HuggingFaceEngine:
    """Encodes by `tokenizers`, on as many threads as `RAYON_NUM_THREADS` allows.

    Memory beside the result stays near 100 MB however long the texts are, as long as they hold words and the rules
    are named ones other than `abc`; otherwise it is some hundred bytes for each character of the longest text.
    """

    name = "tokenizers"

    def __init__(self, settings: dict[str, Any], inner: Any) -> None:
        """Encode with `inner`, made from `settings`."""
        self._inner = inner
        self._cuttable = cuttable(settings)

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        found: list[list[Ids]] = [[] for _ in texts]
        for group in self._groups(texts):
            try:
                encodings = self._inner.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
            except BaseException as error:
                if type(error).__name__ != "PanicException":
                    raise
                raise TokenizerError(
                    f"tokenizer.pre_tokenization: a regular expression takes too long on a text "
                    f"({' '.join(str(error).split())[:120]}); make it linear (possessive quantifiers, atomic groups)"
                ) from None
            for (index, _), encoding in zip(group, encodings, strict=True):
                found[index].append(np.array(encoding.ids, np.uint32))
        return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in found]

    def _groups(self, texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
        """The texts' pieces with the number of their text, in order, about a million characters at a time."""
        group: list[tuple[int, str]] = []
        size = 0
        for index, text in enumerate(texts):
            for piece in pieces(text) if self._cuttable else (text,):
                group.append((index, piece))
                size += len(piece)
                if size >= CHARACTERS_AT_ONCE:
                    yield group
                    group, size = [], 0
        if group:
            yield group


def cuttable(settings: dict[str, Any]) -> bool:
    """Whether `pieces` may cut texts.

    There is no normalizer, no text becomes an added token, every rule keeps to the borders at which `pieces` cuts, and
    one of them is a border there itself: `whitespace` or the rules of digits alone leave `budget,` one word.
    """
    if settings.get("normalizer") or any(not token["special"] for token in settings.get("added_tokens") or ()):
        return False
    safe = {*CUTTING.values(), *KEEPING.values(), CONTROL_GUARD} - {ABC}
    steps = list(_steps(settings.get("pre_tokenizer")))
    ends_words = False
    for step in steps:
        if step["type"] == "Split":
            expression = (step.get("pattern") or {}).get("Regex", "")
            for kept in KEEPING.values():
                expression = expression.removeprefix(kept + "|")
            if expression not in safe and not expression.startswith("(?m:.{1,"):
                return False
            ends_words = ends_words or (expression in WORDS and step.get("behavior") == "Isolated")
        elif step["type"] != "ByteLevel" or step.get("add_prefix_space"):
            return False
        else:
            ends_words = ends_words or step.get("use_regex", True)
    return ends_words


def _steps(pre_tokenizer: dict[str, Any] | None) -> Iterable[dict[str, Any]]:
    if not pre_tokenizer:
        return ()
    return pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else (pre_tokenizer,)
