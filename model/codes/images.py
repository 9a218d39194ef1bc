"""Images as codes of patches, and back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.codes.codebook import Codebook, Codes, load_codebook, save_codebook, train_codebook
from model.codes.config import ImageCodesConfig
from model.errors import CorpusError, TokenizerError
from model.tokenizer.clustering import Points

Image = npt.NDArray[np.uint8]
MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000


@dataclass(frozen=True)
class ImageCodes:
    """A codebook for square patches of RGB images.

    Patch by patch vector quantization as in Gersho and Gray 1992, chapter 11: the simplest image tokenizer that can
    be decoded; VQ-VAE (van den Oord et al. 2017) learns the transform around it.

    Attributes:
        patch_size: Pixels on a side.
        codebook: Of vectors of `3 * patch_size ** 2` values from 0 to 1.
    """

    patch_size: int
    codebook: Codebook

    def encode(self, image: Image) -> Codes:
        """Codes of an image (height, width, 3) uint8: (rows, columns, stages); the last patches repeat the edge."""
        vectors, rows, columns = patches(image, self.patch_size)
        return self.codebook.encode(vectors).reshape(rows, columns, -1)

    def decode(self, codes: Codes) -> Image:
        """The image of codes (rows, columns, stages): `(rows * patch_size, columns * patch_size, 3)` uint8.

        Raises:
            TokenizerError: The codes are of another shape or not of this codebook.
        """
        if codes.ndim != 3:
            raise TokenizerError(f"image codes of shape {codes.shape}, expected (rows, columns, stages)")
        rows, columns, stages = codes.shape
        vectors = self.codebook.decode(codes.reshape(-1, stages))
        side = self.patch_size
        image = vectors.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
        return (image.reshape(rows * side, columns * side, 3).clip(0, 1) * 255).round().astype(np.uint8)

    def save(self, folder: Path) -> None:
        """Write `image_codes.safetensors` and `image_codes.json`."""
        save_codebook(folder, "image", self.codebook, {"patch_size": self.patch_size})

    @classmethod
    def open(cls, folder: Path) -> ImageCodes:
        """Read what `save` wrote; errors as in `load_codebook`."""
        codebook, facts = load_codebook(folder, "image")
        return cls(int(facts["patch_size"]), codebook)


def train_image_codes(images: Sequence[Image], config: ImageCodesConfig) -> ImageCodes:
    """Learn the codes of the patches of some images.

    Raises:
        CorpusError: The images have fewer patches than there are codes.
    """
    if not images:
        raise CorpusError("no image to learn codes from")
    vectors = np.concatenate([patches(image, config.patch_size)[0] for image in images])
    return ImageCodes(config.patch_size, train_codebook(vectors, config.codebook))


def patches(image: Image, side: int) -> tuple[Points, int, int]:
    """The patches of an image row by row, (n, side * side * 3) float32 from 0 to 1; then rows and columns."""
    height, width, _ = image.shape
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    padded = np.pad(image, ((0, rows * side - height), (0, columns * side - width), (0, 0)), mode="edge")
    cut = padded.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
    return cut.reshape(rows * columns, -1).astype(np.float32) / np.float32(255), int(rows), int(columns)


def psnr(first: Image, second: Image) -> float:
    """Peak signal-to-noise ratio of two images of one size, in dB; infinite when they are equal."""
    error = float(((first.astype(np.float64) - second.astype(np.float64)) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> Image:
    """An image file as (height, width, 3) uint8; its size is checked before anything is unpacked.

    Raises:
        CorpusError: It is missing, too large, or no image that Pillow knows; the message names it.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        if path.stat().st_size > MAX_BYTES:
            raise CorpusError(f"{path}: {path.stat().st_size:,} bytes, expected {MAX_BYTES:,} or fewer")
        with warnings.catch_warnings():  # the size is judged below
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            file = Pillow.open(path)
        with file:
            if file.width * file.height > max_pixels:
                raise CorpusError(
                    f"{path}: {file.width:,} x {file.height:,} pixels, expected {max_pixels:,} or fewer in all"
                )
            return np.asarray(file.convert("RGB"))
    except Pillow.DecompressionBombError as error:
        raise CorpusError(f"{path}: far too many pixels ({error})") from error
    except UnidentifiedImageError as error:
        raise CorpusError(f"{path}: not an image that Pillow knows") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read as an image ({' '.join(str(error).split())[:120]})") from error


def write_image(path: Path, image: Image) -> None:
    """Write a PNG atomically."""
    import io

    from PIL import Image as Pillow

    from model.files import write_bytes

    data = io.BytesIO()
    Pillow.fromarray(image).save(data, "PNG")
    write_bytes(path, data.getvalue())
