"""Sound: the spectrum against scipy, the codes on generated and bundled sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from model.codes import spectrum
from model.codes.audio import AudioCodes, features, train_audio_codes
from model.codes.config import AudioCodesConfig, CodebookConfig
from model.codes.wave_file import read_wave, resample, write_wave
from model.errors import CorpusError

pytestmark = pytest.mark.feature("TOK-12")
RATE = 16_000
CONFIG = AudioCodesConfig(window=512, hop=128, n_mels=40, codebook=CodebookConfig(n_codes=64))


def chirp(seconds: float = 1.5) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    return 0.6 * np.sin(2 * np.pi * (200 * at + 900 * at**2))


def vowels(seconds: float = 1.5) -> np.ndarray:
    """Pulses of 120 Hz through the formants of a, i, u."""
    at = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros(len(at))
    for vowel, (first, second) in enumerate([(730, 1090), (270, 2290), (300, 870)]):
        part = slice(vowel * len(at) // 3, (vowel + 1) * len(at) // 3)
        for harmonic in range(1, 40):
            loud = sum(np.exp(-(((120 * harmonic - formant) / 120) ** 2)) for formant in (first, second))
            sound[part] += loud * np.sin(2 * np.pi * 120 * harmonic * at[part])
    return 0.5 * sound / np.abs(sound).max()


def test_transform_equals_that_of_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    sound = chirp(0.3)
    window = np.asarray(signal.get_window("hann", 512))
    frames = signal.ShortTimeFFT(window, 128, RATE, phase_shift=None)
    theirs = frames.stft(np.pad(sound, 256, mode="reflect"), p0=2, p1=30)
    np.testing.assert_allclose(spectrum.transform(sound, 512, 128)[:28], theirs.T, atol=1e-9)


def test_inverse_transform_gives_the_sound_back() -> None:
    sound = vowels(0.5)
    back = spectrum.inverse_transform(spectrum.transform(sound, 512, 128), 512, 128, len(sound))
    np.testing.assert_allclose(back[: len(sound) - 512], sound[:-512], atol=1e-9)


def test_mel_scale_has_its_published_points() -> None:
    assert spectrum.hertz_to_mel(1000.0) == pytest.approx(1000, abs=0.1)
    assert spectrum.hertz_to_mel(0.0) == 0
    np.testing.assert_allclose(
        spectrum.mel_to_hertz(spectrum.hertz_to_mel(np.array([50.0, 440, 7999]))), [50, 440, 7999]
    )


@pytest.mark.parametrize(("window", "n_mels"), [(1024, 80), (256, 80), (64, 4)])
def test_each_mel_band_weighs_one_and_centres_rise(window: int, n_mels: int) -> None:
    filters = spectrum.mel_filters(RATE, window, n_mels)
    np.testing.assert_allclose(filters.sum(1), 1)
    centres = filters @ np.arange(window // 2 + 1)
    assert (np.diff(centres) >= -1e-9).all()


def test_tone_is_loudest_in_the_band_of_its_frequency() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    loudest = spectrum.log_mel(tone, RATE, 1024, 256, 80).mean(0).argmax()
    assert 900 < float(spectrum.mel_filters(RATE, 1024, 80)[loudest] @ np.linspace(0, RATE / 2, 513)) < 1100


def test_cepstrum_is_the_cosine_transform_of_scipy_and_inverts() -> None:
    fft = pytest.importorskip("scipy.fft")
    bands = np.random.default_rng(0).normal(size=(7, 40))
    np.testing.assert_allclose(spectrum.mfcc(bands, 13), fft.dct(bands, norm="ortho")[:, :13], atol=1e-12)
    np.testing.assert_allclose(spectrum.inverse_mfcc(spectrum.mfcc(bands, 40), 40), bands, atol=1e-12)


@pytest.mark.parametrize("feature", ["log_mel", "mfcc"])
def test_sound_comes_back_with_its_spectrum(feature: str) -> None:
    config = CONFIG.model_copy(update={"features": feature})
    sounds = [chirp(), vowels()]
    codes = train_audio_codes(sounds, config)
    for sound in sounds:
        ids = codes.encode(sound)
        assert ids.shape == (1 + len(sound) // config.hop, 1)
        heard = codes.decode(ids)
        assert np.abs(heard).max() < 2
        before, after = (spectrum.log_mel(s, RATE, 512, 128, 40)[: len(ids) - 4] for s in (sound, heard))
        loud = before > before.max() - 5
        silence = np.full_like(before, before.mean())
        assert np.abs(after - before)[loud].mean() < 0.5 * np.abs(silence - before)[loud].mean()


def test_more_codes_give_a_smaller_error() -> None:
    sounds = [chirp(), vowels()]
    errors = []
    for n_codes, stages in ((8, 1), (64, 1), (64, 3)):
        config = CONFIG.model_copy(update={"codebook": CodebookConfig(n_codes=n_codes, n_stages=stages)})
        codes = train_audio_codes(sounds, config)
        errors.append(np.abs(codes.decode_log_mel(codes.encode(sounds[1])) - features(sounds[1], config)).mean())
    assert errors[0] > errors[1] > errors[2]


def test_bundled_recording_makes_the_round_trip(tmp_path: Path) -> None:
    found = pytest.importorskip("test")
    path = Path(found.__file__).parent / "audiodata" / "pluck-pcm16.wav"
    if not path.is_file():
        pytest.skip("this Python has no sound beside its tests")
    config = AudioCodesConfig(sample_rate=8000, window=256, hop=32, n_mels=24, codebook=CodebookConfig(n_codes=16))
    sound = read_wave(path, 8000)
    codes = train_audio_codes([sound], config)
    codes.save(tmp_path)
    heard = AudioCodes.open(tmp_path).decode(codes.encode(sound))
    write_wave(tmp_path / "heard.wav", heard, 8000)
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
    others = {bits: read_wave(path.with_name(f"pluck-pcm{bits}.wav"), 8000) for bits in (8, 24, 32)}
    for bits, other in others.items():
        np.testing.assert_allclose(other, sound, atol=0.02 if bits == 8 else 1e-3)


def test_resampled_tone_keeps_its_frequency() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    other = resample(tone, 44_100, RATE)
    np.testing.assert_allclose(other, np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), atol=1e-6)


def test_silence_and_a_single_sample_can_be_coded() -> None:
    codes = train_audio_codes([chirp()], CONFIG)
    assert np.isfinite(codes.decode(codes.encode(np.zeros(5000)))).all()
    assert codes.encode(np.zeros(1)).shape == (1, 1)
    assert len(codes.decode(codes.encode(np.zeros(1)))) == 0
    with pytest.raises(CorpusError, match="without samples"):
        codes.encode(np.zeros(0))
    with pytest.raises(CorpusError, match="no sound"):
        train_audio_codes([], CONFIG)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"not a sound" * 9, b"RIFF\x24\0\0\0WAVEdata\0\0\0\0"]
)
def test_hostile_wave_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(CorpusError, match=r"bad\.wav"):
        read_wave(tmp_path / "bad.wav", RATE)


def test_endless_sound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_wave(tmp_path / "long.wav", np.zeros(2 * RATE), RATE)
    with pytest.raises(CorpusError, match="expected 1 s or less"):
        read_wave(tmp_path / "long.wav", RATE, max_seconds=1)
