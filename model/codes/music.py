"""Tunes in ABC notation as codes: the most frequent signs have one, everything else is bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.codes.abc_notation import signs
from model.codes.codebook import Codes
from model.codes.config import MusicCodesConfig
from model.errors import IntegrityError, TokenizerError
from model.files import read_json, write_json

BYTES = 256
MUSIC_FILE = "music_codes.json"


@dataclass(frozen=True)
class MusicCodes:
    """Codes 0 to 255 are bytes, those after them whole signs (notes with durations, bars, chords, fields).

    Attributes:
        signs: The signs that have a code, the first is 256.
    """

    signs: tuple[str, ...]
    _codes: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_codes", {sign: BYTES + index for index, sign in enumerate(self.signs)})

    @property
    def size(self) -> int:
        """Number of codes."""
        return BYTES + len(self.signs)

    def encode(self, tune: str) -> Codes:
        """Codes of a tune, (n,) int64; `decode` gives the tune back, whatever it holds."""
        codes: list[int] = []
        for sign in signs(tune):
            code = self._codes.get(sign.text)
            codes += [code] if code is not None else sign.text.encode("utf-8", "surrogatepass")
        return np.array(codes, np.int64)

    def decode(self, codes: Codes) -> str:
        """The tune of codes (n,); bytes that are not UTF-8 become U+FFFD.

        Raises:
            TokenizerError: A code is out of range.
        """
        if len(codes) and not (codes.min() >= 0 and codes.max() < self.size):
            raise TokenizerError(f"music code {int(codes.max())}, expected 0 to {self.size - 1}")
        data = b"".join(bytes([c]) if c < BYTES else self.signs[c - BYTES].encode() for c in codes.tolist())
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def save(self, folder: Path) -> None:
        """Write `music_codes.json`."""
        write_json(folder / MUSIC_FILE, {"signs": list(self.signs)})

    @classmethod
    def open(cls, folder: Path) -> MusicCodes:
        """Read what `save` wrote.

        Raises:
            IntegrityError: It is missing or damaged.
        """
        content = read_json(folder / MUSIC_FILE)
        found = content.get("signs") if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(sign, str) for sign in found):
            raise IntegrityError(f"{folder / MUSIC_FILE}: has no list of signs; learn the codes again")
        return cls(tuple(found))


def train_music_codes(tunes: Iterable[str], config: MusicCodesConfig) -> MusicCodes:
    """Give codes to the most frequent signs, ties in the order of their text; signs of one byte need none."""
    counts: Counter[str] = Counter()
    for tune in tunes:
        counts.update(sign.text for sign in signs(tune) if len(sign.text.encode("utf-8", "surrogatepass")) > 1)
    usable = (sign for sign in counts if sign.isprintable())
    ordered = sorted(usable, key=lambda sign: (-counts[sign], sign))
    return MusicCodes(tuple(ordered[: config.n_codes - BYTES]))
