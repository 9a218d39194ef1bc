"""WAV files as samples, and back."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.errors import CorpusError
from model.files import write_bytes

Floats = npt.NDArray[np.float64]
MAX_SECONDS = 600.0


def read_wave(path: Path, sample_rate: int, max_seconds: float = MAX_SECONDS) -> Floats:
    """The samples of a PCM file (8, 16, 24 or 32 bits), channels averaged, resampled: (n,) from -1 to 1.

    Raises:
        CorpusError: It is missing, empty, too long, or not PCM; the message names it.
    """
    try:
        with wave.open(str(path), "rb") as file:
            rate, width, channels, n = file.getframerate(), file.getsampwidth(), file.getnchannels(), file.getnframes()
            if rate <= 0 or n > max_seconds * rate:
                raise CorpusError(f"{path}: {n:,} samples at {rate:,} Hz, expected {max_seconds:g} s or less")
            data = file.readframes(n)
    except (wave.Error, EOFError) as error:
        raise CorpusError(f"{path}: not a PCM WAV file ({error or 'it ends too early'})") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error
    data = data[: len(data) // (width * channels) * width * channels]
    if not data:
        raise CorpusError(f"{path}: holds no sound")
    if width not in {1, 2, 3, 4}:
        raise CorpusError(f"{path}: {8 * width} bits per sample, expected 8, 16, 24 or 32")
    if width == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    else:
        wide = np.zeros((len(data) // width, 4), np.uint8)
        wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        samples = wide.reshape(-1).view("<i4").astype(np.float64) / 2**31
    return resample(samples.reshape(-1, channels).mean(1), rate, sample_rate)


def resample(samples: Floats, rate: int, wanted: int) -> Floats:
    """Sound at another rate, by its Fourier transform: frequencies that do not fit are left out."""
    if rate == wanted or not len(samples):
        return samples
    length = max(1, round(len(samples) * wanted / rate))
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(length // 2 + 1, np.complex128)
    n = min(len(kept), len(spectrum))
    kept[:n] = spectrum[:n]
    return np.fft.irfft(kept, length) * (length / len(samples))


def write_wave(path: Path, samples: Floats, sample_rate: int) -> None:
    """Write samples from -1 to 1 as 16-bit mono, atomically; louder ones are cut."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    write_bytes(path, data.getvalue())
