"""Text, images, sound and music to one sequence of ids, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from model.codes.audio import AudioCodes
from model.codes.codebook import Codes
from model.codes.images import Image, ImageCodes
from model.codes.music import MUSIC_FILE, MusicCodes
from model.codes.space import CodeSpace
from model.codes.spectrum import Floats
from model.errors import TokenizerError
from model.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Tune:
    """A tune in ABC notation, to tell it from a text."""

    abc: str


Made = TypeVar("Made")

Part = str | Tune | Image | Floats
"""A text, a tune, an image (height, width, 3) uint8, or samples (n,) float64."""


@dataclass(frozen=True)
class MixedTokenizer:
    """A tokenizer with codebooks whose codes have ids in its space.

    Attributes:
        tokenizer: For text.
        space: Which ids are codes.
        images: Codes of images, if there are any.
        sounds: Codes of sounds, if there are any.
        tunes: Codes of tunes, if there are any.
    """

    tokenizer: Tokenizer
    space: CodeSpace
    images: ImageCodes | None = None
    sounds: AudioCodes | None = None
    tunes: MusicCodes | None = None

    @classmethod
    def open(cls, folder: Path) -> MixedTokenizer:
        """Open a folder of `tisslm tokenizer codes reserve`.

        Raises:
            TokenizerError: The ids were reserved for another tokenizer.
            IntegrityError: A file is missing or damaged.
        """
        tokenizer, space = Tokenizer.open(folder), CodeSpace.open(folder)
        if space.tokenizer_digest != tokenizer.digest:
            raise TokenizerError(
                f"{folder}: ids reserved for tokenizer {space.tokenizer_digest[:12]}, found {tokenizer.digest[:12]}; "
                "reserve them again"
            )
        return cls(
            tokenizer,
            space,
            ImageCodes.open(folder) if "image" in space.ranges else None,
            AudioCodes.open(folder) if "audio" in space.ranges else None,
            MusicCodes.open(folder) if (folder / MUSIC_FILE).is_file() and "music" in space.ranges else None,
        )

    def encode(self, parts: Sequence[Part]) -> list[int]:
        """The ids of parts in order.

        Raises:
            TokenizerError: There are no codes for a part's modality.
        """
        ids: list[int] = []
        for part in parts:
            if isinstance(part, str):
                ids += self.tokenizer.encode(part)
            elif isinstance(part, Tune):
                ids += self.space.item_ids("music", _made(self.tunes, "music").encode(part.abc))
            elif part.ndim == 3:
                ids += self.space.item_ids(
                    "image", _made(self.images, "image").encode(part.astype(np.uint8, copy=False))
                )
            else:
                ids += self.space.item_ids(
                    "audio", _made(self.sounds, "audio").encode(part.astype(np.float64, copy=False))
                )
        return ids

    def decode(self, ids: Sequence[int]) -> list[Part]:
        """The parts of ids: an image has whole patches, a sound new phases; texts and tunes are as they were.

        Raises:
            TokenizerError: The ids are no sequence of this space.
        """
        parts: list[Part] = []
        for item in self.space.items(ids):
            if item.modality == "text":
                parts.append(self.tokenizer.decode(item.values.tolist()))
            elif item.modality == "music":
                parts.append(Tune(_made(self.tunes, "music").decode(item.values.reshape(-1))))
            elif item.modality == "image":
                images = _made(self.images, "image")
                rows: Codes = item.values if item.values.ndim == 3 else np.empty((0, 0, images.codebook.n_stages), int)
                parts.append(images.decode(rows))
            else:
                parts.append(_made(self.sounds, "audio").decode(item.values))
        return parts


def _made(codes: Made | None, name: str) -> Made:
    if codes is None:
        raise TokenizerError(f"no codes for {name} here; learn some and reserve ids for them")
    return codes
