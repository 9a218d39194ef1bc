"""Sound as frames of frequencies: short-time Fourier transform, mel bands, cepstrum, and the way back.

Shapes: T frames, F frequencies (window / 2 + 1), M mel bands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FLOOR = 1e-5
"""Smallest mel magnitude, 100 dB below full scale: the logarithm stays finite in silence."""


def hann(window: int) -> Floats:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)


def transform(samples: Floats, window: int, hop: int) -> npt.NDArray[np.complex128]:
    """Short-time Fourier transform of centred frames, (T, F); the sound is mirrored at both ends."""
    padded = np.pad(samples, window // 2, mode="reflect" if len(samples) > window // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.fft.rfft(frames * hann(window), axis=1)


def inverse_transform(spectrum_TF: npt.NDArray[np.complex128], window: int, hop: int, length: int) -> Floats:
    """Samples (length,) from frames by overlap and add, the least-squares inverse (Griffin and Lim 1984, eq. 6)."""
    frames = np.fft.irfft(spectrum_TF, window, axis=1) * hann(window)
    total = np.zeros(window + hop * (len(frames) - 1))
    weight = np.zeros_like(total)
    square = hann(window) ** 2
    for index, frame in enumerate(frames):
        total[index * hop : index * hop + window] += frame
        weight[index * hop : index * hop + window] += square
    samples = total / np.maximum(weight, 1e-8)
    samples = samples[window // 2 : window // 2 + length]
    return np.pad(samples, (0, length - len(samples)))


def hertz_to_mel(hertz: Floats | float) -> Floats:
    """The mel scale as in HTK (Young et al., The HTK Book): 1000 Hz are 1000 mel."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700))


def mel_to_hertz(mel: Floats | float) -> Floats:
    """The inverse of `hertz_to_mel`."""
    return np.asarray(700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1))


def mel_filters(sample_rate: int, window: int, n_mels: int) -> Floats:
    """Triangles evenly spaced in mel from 0 to half the sample rate, each with sum 1: (M, F).

    A triangle that is narrower than one frequency takes the nearest one.
    """
    frequencies = np.linspace(0, sample_rate / 2, window // 2 + 1)
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(sample_rate / 2), n_mels + 2))
    rising = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    for band in np.flatnonzero(filters.sum(1) == 0):
        filters[band, np.abs(frequencies - edges[band + 1]).argmin()] = 1
    return np.asarray(filters / filters.sum(1, keepdims=True))


def log_mel(samples: Floats, sample_rate: int, window: int, hop: int, n_mels: int) -> Floats:
    """Natural logarithm of the mean magnitude in each mel band, (T, M)."""
    magnitude_TF = np.abs(transform(samples, window, hop))
    return np.log(np.maximum(magnitude_TF @ mel_filters(sample_rate, window, n_mels).T, FLOOR))


def cosine_basis(n_mels: int, n_mfcc: int) -> Floats:
    """The first rows of the orthonormal cosine transform DCT-II, (n_mfcc, M)."""
    bands = np.arange(n_mels) + 0.5
    rows = np.sqrt(2 / n_mels) * np.cos(np.pi / n_mels * np.arange(n_mfcc)[:, None] * bands)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows)


def mfcc(log_mel_TM: Floats, n_mfcc: int) -> Floats:
    """Mel-frequency cepstral coefficients (Davis and Mermelstein 1980), (T, n_mfcc)."""
    return log_mel_TM @ cosine_basis(log_mel_TM.shape[1], n_mfcc).T


def inverse_mfcc(mfcc_TC: Floats, n_mels: int) -> Floats:
    """Log-mel bands (T, M) without the detail that the coefficients left out."""
    return mfcc_TC @ cosine_basis(n_mels, mfcc_TC.shape[1])


def magnitude_from_mel(mel_TM: Floats, sample_rate: int, window: int, n_rounds: int = 50) -> Floats:
    """Magnitudes (T, F) whose mel bands are near those given: multiplicative updates (Lee and Seung 2001)."""
    filters = mel_filters(sample_rate, window, mel_TM.shape[1])
    magnitude = np.maximum(mel_TM @ filters / np.maximum(filters.sum(0), 1e-8), 1e-12)
    wanted = mel_TM @ filters
    for _ in range(n_rounds):
        magnitude = magnitude * wanted / np.maximum((magnitude @ filters.T) @ filters, 1e-12)
    return np.asarray(magnitude)


def griffin_lim(
    magnitude_TF: Floats, window: int, hop: int, length: int, generator: np.random.Generator, n_rounds: int = 60
) -> Floats:
    """Sound whose spectrogram is near the one given, (length,): Griffin and Lim 1984 with the momentum of
    Perraudin et al. 2013 (0.99), phases drawn at the beginning.
    """  # noqa: D205
    phases = np.exp(2j * np.pi * generator.random(magnitude_TF.shape))
    before = np.zeros_like(phases)
    for _ in range(n_rounds):
        samples = inverse_transform(magnitude_TF * phases, window, hop, length)
        rebuilt = transform(samples, window, hop)[: len(magnitude_TF)]
        faster = rebuilt + 0.99 * (rebuilt - before)
        phases = faster / np.maximum(np.abs(faster), 1e-12)
        before = rebuilt
    return inverse_transform(magnitude_TF * phases, window, hop, length)
