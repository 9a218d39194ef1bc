"""Images to codes and back, on real photographs; hostile files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.codes.config import CodebookConfig, ImageCodesConfig
from model.codes.images import ImageCodes, patches, psnr, read_image, train_image_codes, write_image
from model.errors import CorpusError, TokenizerError

pytestmark = pytest.mark.feature("TOK-11")


def photographs() -> list[np.ndarray]:
    data = pytest.importorskip("skimage.data")
    folder = Path(data.__file__).parent
    return [read_image(folder / name)[::2, ::2] for name in ("astronaut.png", "coffee.png", "chelsea.png")]


def config(n_codes: int, patch_size: int = 4, stages: int = 1) -> ImageCodesConfig:
    book = CodebookConfig(n_codes=n_codes, n_stages=stages, max_vectors=8000, n_iterations=8)
    return ImageCodesConfig(patch_size=patch_size, codebook=book)


@pytest.mark.parametrize(("n_codes", "stages", "least"), [(64, 1, 20.0), (512, 1, 22.5), (256, 4, 28.0)])
def test_photograph_that_was_not_learned_from_comes_back_with_the_expected_quality(
    n_codes: int, stages: int, least: float
) -> None:
    *learned, unseen = photographs()
    codes = train_image_codes(learned, config(n_codes, stages=stages))
    rebuilt = codes.decode(codes.encode(unseen))[: unseen.shape[0], : unseen.shape[1]]
    assert psnr(unseen, rebuilt) > least


def test_psnr_equals_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image = photographs()[0]
    noisy = np.clip(image.astype(int) + np.random.default_rng(0).integers(-9, 9, image.shape), 0, 255).astype(np.uint8)
    assert psnr(image, noisy) == pytest.approx(metrics.peak_signal_noise_ratio(image, noisy))
    assert psnr(image, image) == float("inf")


@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 9), st.integers(0, 99))
def test_image_of_known_patches_comes_back_exactly_whatever_its_size(
    height: int, width: int, side: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    vectors, rows, columns = patches(image, side)
    from model.codes.codebook import Codebook

    own = ImageCodes(side, Codebook(vectors[None]))
    codes = own.encode(image)
    assert codes.shape == (rows, columns, 1)
    np.testing.assert_array_equal(own.decode(codes)[:height, :width], image)


def test_codes_are_saved_and_opened(tmp_path: Path) -> None:
    codes = train_image_codes(photographs()[:1], config(16))
    codes.save(tmp_path)
    opened = ImageCodes.open(tmp_path)
    image = photographs()[1]
    np.testing.assert_array_equal(opened.encode(image), codes.encode(image))
    write_image(tmp_path / "out.png", opened.decode(opened.encode(image)))
    assert read_image(tmp_path / "out.png").shape[2] == 3
    with pytest.raises(TokenizerError, match="rows, columns, stages"):
        opened.decode(np.zeros((4, 1), np.int64))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that says it has this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an image"),
        (b"hello", "not an image"),
        (png(40_000, 30_000), "pixels"),
        (png(20_000, 8_000), "160|20,000 x 8,000"),
        (png(100, 100, b"\x00" * 50), "cannot be read"),
    ],
)
def test_hostile_file_is_one_clear_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=said) as caught:
        read_image(path)
    assert "bad.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_too_few_patches_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        read_image(tmp_path / "none.png")
    with pytest.raises(CorpusError, match="no image"):
        train_image_codes([], config(4))
    with pytest.raises(CorpusError, match="cannot fill"):
        train_image_codes([np.zeros((4, 4, 3), np.uint8)], config(4))
