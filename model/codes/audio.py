"""Sound as codes of spectrogram frames, and back to something that can be heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.codes.codebook import Codebook, Codes, load_codebook, save_codebook, train_codebook
from model.codes.config import AudioCodesConfig
from model.codes.spectrum import (
    Floats,
    griffin_lim,
    inverse_mfcc,
    log_mel,
    magnitude_from_mel,
    mfcc,
)
from model.errors import CorpusError
from model.randomness import numpy_generator


@dataclass(frozen=True)
class AudioCodes:
    """A codebook for frames of sound.

    Attributes:
        config: Sample rate, frames and features.
        codebook: Of vectors of log-mel bands or cepstral coefficients.
    """

    config: AudioCodesConfig
    codebook: Codebook

    def encode(self, samples: Floats) -> Codes:
        """Codes of samples (n,) at `config.sample_rate`: (1 + n // hop, stages).

        Raises:
            CorpusError: There are no samples.
        """
        return self.codebook.encode(features(samples, self.config).astype(np.float32))

    def decode_log_mel(self, codes: Codes) -> Floats:
        """The log-mel bands (frames, n_mels) of codes (frames, stages)."""
        vectors = self.codebook.decode(codes).astype(np.float64)
        return inverse_mfcc(vectors, self.config.n_mels) if self.config.features == "mfcc" else vectors

    def decode(self, codes: Codes, n_rounds: int = 60) -> Floats:
        """Samples ((frames - 1) * hop,) at `config.sample_rate`; phases, which codes do not hold, by Griffin-Lim."""
        config = self.config
        magnitude = magnitude_from_mel(np.exp(self.decode_log_mel(codes)), config.sample_rate, config.window)
        length = max(0, len(codes) - 1) * config.hop
        if not length:
            return np.zeros(0)
        generator = numpy_generator(config.codebook.seed, "phases")
        return griffin_lim(magnitude, config.window, config.hop, length, generator, n_rounds)

    def save(self, folder: Path) -> None:
        """Write `audio_codes.safetensors` and `audio_codes.json`."""
        save_codebook(folder, "audio", self.codebook, self.config.model_dump())

    @classmethod
    def open(cls, folder: Path) -> AudioCodes:
        """Read what `save` wrote; errors as in `load_codebook`."""
        codebook, facts = load_codebook(folder, "audio")
        return cls(AudioCodesConfig(**facts), codebook)


def features(samples: Floats, config: AudioCodesConfig) -> Floats:
    """What is coded of a sound: (frames, n_mels) or (frames, n_mfcc)."""
    if not len(samples):
        raise CorpusError("a sound without samples cannot be coded")
    bands = log_mel(samples, config.sample_rate, config.window, config.hop, config.n_mels)
    return mfcc(bands, min(config.n_mfcc, config.n_mels)) if config.features == "mfcc" else bands


def train_audio_codes(sounds: Sequence[Floats], config: AudioCodesConfig) -> AudioCodes:
    """Learn the codes of the frames of some sounds at `config.sample_rate`.

    Raises:
        CorpusError: There are fewer frames than codes.
    """
    if not sounds:
        raise CorpusError("no sound to learn codes from")
    vectors = np.concatenate([features(sound, config) for sound in sounds]).astype(np.float32)
    return AudioCodes(config, train_codebook(vectors, config.codebook))
