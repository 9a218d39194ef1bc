"""Seeded generators, one for each purpose, so that adding a draw in one place moves no other."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. `derive_seed(config.seed, "dropout", step)`.

    The same arguments give the same seed on every machine and in every Python version (SHA-256, not `hash`).
    """
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def python_generator(seed: int, *purpose: str | int) -> random.Random:
    """A seeded `random.Random` for one purpose."""
    return random.Random(derive_seed(seed, *purpose))  # noqa: S311  (reproducible draws, not secrets)


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A seeded numpy generator (PCG64) for one purpose."""
    import numpy

    return numpy.random.default_rng(derive_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int, device: str = "cpu") -> torch.Generator:
    """A seeded torch generator for one purpose."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))
