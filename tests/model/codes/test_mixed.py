"""One sequence of ids for text, an image, a sound and a tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_tokenizers import small_tokenizer

from model.codes.audio import train_audio_codes
from model.codes.config import AudioCodesConfig, CodebookConfig, ImageCodesConfig, MusicCodesConfig
from model.codes.images import train_image_codes
from model.codes.mixed import MixedTokenizer, Tune
from model.codes.music import train_music_codes
from model.codes.space import reserve_tokens
from model.errors import IntegrityError, TokenizerError

pytestmark = [pytest.mark.feature("TOK-11"), pytest.mark.feature("TOK-12"), pytest.mark.feature("TOK-10")]
TUNE = "X:1\nK:G\n|:GAB c2d|[Bdg]3 :|\n"
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
SOUND = 0.5 * np.sin(np.arange(6000) ** 1.3 / 300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = train_image_codes([IMAGE], ImageCodesConfig(patch_size=8, codebook=CodebookConfig(n_codes=12, n_stages=2)))
    config = AudioCodesConfig(window=256, hop=128, n_mels=20, codebook=CodebookConfig(n_codes=16))
    sounds = train_audio_codes([SOUND], config)
    tunes = train_music_codes([TUNE], MusicCodesConfig())
    sizes = {"image": (24, 2), "audio": (16, 1), "music": (tunes.size, 1)}
    space, edit = reserve_tokens(small_tokenizer(), sizes)
    for saved in (images, sounds, tunes, space, edit.new):
        saved.save(tmp_path)
    return tmp_path


def test_parts_come_back_in_order_texts_and_tunes_as_they_were(folder: Path) -> None:
    mixed = MixedTokenizer.open(folder)
    ids = mixed.encode(["See ", IMAGE, " and hear", SOUND, Tune(TUNE)])
    assert max(ids) < mixed.tokenizer.vocab_size
    first, image, second, sound, tune = mixed.decode(ids)
    assert (first, second, tune) == ("See ", " and hear", Tune(TUNE))
    assert isinstance(image, np.ndarray)
    assert isinstance(sound, np.ndarray)
    assert image.shape == IMAGE.shape
    np.testing.assert_array_equal(image, mixed.images.decode(mixed.images.encode(IMAGE)))
    assert abs(len(sound) - len(SOUND)) < 128
    assert mixed.encode(mixed.decode(ids)[:2]) == ids[: len(mixed.encode(["See ", IMAGE]))]


def test_empty_parts_are_parts_too(folder: Path) -> None:
    mixed = MixedTokenizer.open(folder)
    ids = mixed.encode([Tune("")])
    assert mixed.decode(ids) == [Tune("")]
    assert mixed.decode([]) == []


def test_missing_codes_and_another_tokenizer_are_refused(folder: Path) -> None:
    mixed = MixedTokenizer.open(folder)
    with pytest.raises(TokenizerError, match="no codes for image"):
        MixedTokenizer(mixed.tokenizer, mixed.space).encode([IMAGE])
    small_tokenizer("gpt2").save(folder)
    with pytest.raises(TokenizerError, match="reserved for tokenizer"):
        MixedTokenizer.open(folder)
    (folder / "code_space.json").unlink()
    with pytest.raises(IntegrityError, match="no such file"):
        MixedTokenizer.open(folder)
