"""Byte-level BPE by `gigatoken` (Marcel Rød 2026, github.com/marcelroed/gigatoken), the fastest encoder known.

Its Unicode tables are a version newer than those inside `tokenizers`: 4,657 characters, letters and digits to the one,
are nothing yet to the other. A text with one of them goes to another engine, and a version of `gigatoken` whose tables
have not been compared character by character (`tests/model/tokenizer/engines`) is not used.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.engines.byte_pairs import BytePairModel

if TYPE_CHECKING:
    from model.tokenizer.engines.engine import EncodingEngine

COMPARED_VERSIONS = ("0.10.0",)
GPT4_AS_KNOWN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The rule `gpt4` in the spelling by which `gigatoken` knows it."""

DIFFERENT = (
    (0x88F, 0x88F), (0xC5C, 0xC5C), (0xCDC, 0xCDC), (0xA7CE, 0xA7CF), (0xA7D2, 0xA7D2), (0xA7D4, 0xA7D4),
    (0xA7F1, 0xA7F1), (0x10940, 0x10959), (0x10EC5, 0x10EC7), (0x11DB0, 0x11DDB), (0x11DE0, 0x11DE9),
    (0x16EA0, 0x16EB8), (0x16EBB, 0x16ED3), (0x16FF2, 0x16FF6), (0x187F8, 0x187FF), (0x18D09, 0x18D1E),
    (0x18D80, 0x18DF2), (0x1E6C0, 0x1E6DE), (0x1E6E0, 0x1E6E2), (0x1E6E4, 0x1E6E5), (0x1E6E7, 0x1E6ED),
    (0x1E6F0, 0x1E6F4), (0x1E6FE, 0x1E6FF), (0x2B73A, 0x2B73F), (0x2CEA2, 0x2CEAD), (0x323B0, 0x33479),
)  # fmt: skip
"""First and last of each run of characters that `gigatoken` 0.10.0 and `tokenizers` 0.23 see differently."""

SHORT = 2_000
LARGE_GROUP, LARGE_SIZE = 16, 1_000_000
"""Texts, and characters, from which one call for all pays: it needs `awkward`, a quarter second to import."""
CHARACTERS_AT_ONCE = 4_000_000
_DIFFERENT = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in DIFFERENT) + "]")

Ids = npt.NDArray[np.uint32]


class GigaEngine:
    """Encodes by `gigatoken`: large batches on the threads that `RAYON_NUM_THREADS` allows, else on the calling one."""

    name = "gigatoken"

    def __init__(self, backend: Any, otherwise: EncodingEngine) -> None:
        """Encode by a loaded `gigatoken` tokenizer, texts that it sees differently by `otherwise`."""
        self._backend = backend
        self._encode: Callable[[str], Ids] = backend.encode
        self._otherwise = otherwise
        self._lock = threading.Lock()

    def encode(self, text: str) -> Ids:
        """See `EncodingEngine`."""
        if not text.isascii() and differs(text):
            return self._otherwise.encode(text)
        with self._lock:
            return self._encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """See `EncodingEngine`."""
        found: list[Ids] = []
        for group, size in _groups(texts):
            if differs("".join([text for text in group if not text.isascii()])):
                found += [self.encode(text) for text in group]
            elif len(group) >= LARGE_GROUP and (size >= LARGE_SIZE or "awkward" in sys.modules):
                found += self._together(group, size)
            else:
                with self._lock:
                    found += map(self._encode, group)
        return found

    def encode_flat(self, texts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """See `FlatEngine`."""
        size = sum(map(len, texts))
        others = [text for text in texts if not text.isascii()]
        if size <= CHARACTERS_AT_ONCE and not (others and differs("".join(others))):
            return self._flat(list(texts), size)
        return flattened(self.encode_batch(texts))

    def _together(self, group: list[str], size: int) -> list[Ids]:
        """Views into the ids of a whole group."""
        ids, borders = self._flat(group, size)
        return [ids[start:stop] for start, stop in pairwise(borders.tolist())]

    def _flat(self, group: list[str], size: int) -> tuple[Ids, npt.NDArray[np.int64]]:
        parallel = size >= LARGE_SIZE and os.environ.get("RAYON_NUM_THREADS") != "1" and _may_use_threads()
        with self._lock:
            layout = self._backend.encode_batch(group, parallel=parallel).layout
        return np.asarray(layout.content.data), np.asarray(layout.offsets.data)


def flattened(arrays: Sequence[Ids]) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Ids end to end, and where each text's begin and the last ones end."""
    borders = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(ids) for ids in arrays], out=borders[1:])
    return np.concatenate([np.empty(0, np.uint32), *arrays]), borders


def _groups(texts: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """The texts in order with their sizes, about `CHARACTERS_AT_ONCE` at a time."""
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= CHARACTERS_AT_ONCE:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def differs(text: str) -> bool:
    """Whether a text has a character of `DIFFERENT`; long texts are asked by a kernel."""
    if text.isascii():
        return False
    if len(text) <= SHORT:
        return _DIFFERENT.search(text) is not None
    from model.tokenizer.engines.word_kernels import holds_marked

    data = text.encode("utf-8")
    padded = np.frombuffer(data + bytes(-len(data) % 8), np.uint8)
    return bool(holds_marked(padded, padded.view(np.uint64), _marked()))


def _may_use_threads() -> bool:
    """Not in a worker or a forked child, where `gigatoken`'s pool would wait for ever."""
    from gigatoken._parallel import resolve_parallel

    return bool(resolve_parallel(None))


@cache
def _marked() -> npt.NDArray[np.uint8]:
    marked = np.zeros(0x110000, np.uint8)
    for first, last in DIFFERENT:
        marked[first : last + 1] = 1
    return marked


def giga_engine(model: BytePairModel, settings: dict[str, Any], *, otherwise: EncodingEngine) -> GigaEngine | None:
    """An engine for a recognised model, `None` if the installed version has not been compared.

    Raises:
        ImportError: `gigatoken` is not installed.
    """
    try:
        version = importlib.metadata.version("gigatoken")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError("gigatoken") from error
    if version not in COMPARED_VERSIONS:
        return None
    from gigatoken.gigatoken_rs import load_hf_json

    known = {"Regex": GPT4_AS_KNOWN}
    split = {"type": "Split", "pattern": known, "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    steps = {"type": "Sequence", "pretokenizers": [split, bytes_only]}
    content = {
        **settings,
        "added_tokens": [],  # no text is ever one of them
        "pre_tokenizer": {**bytes_only, "use_regex": True} if model.rule == "gpt2" else steps,
        "post_processor": None,
        "truncation": None,
        "padding": None,
    }
    return GigaEngine(load_hf_json(json.dumps(content)), otherwise)
