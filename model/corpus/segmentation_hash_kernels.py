"""Hashes of characters for the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.compiled import allocation_free
from model.corpus import segmentation_tables as bits

MULTIPLIER = np.uint64(bits.MULTIPLIER)
START = np.uint64(bits.START)


@allocation_free
def mixed(value: Any) -> Any:
    """A hash whose bits all depend on all bits of `value` (splitmix64's finalizer, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@allocation_free
def polynomial(characters: Any, start: int, end: int) -> Any:
    """Polynomial hash, modulo 2^64, of the code points in [start, end)."""
    value = START
    for i in range(start, end):
        value = value * MULTIPLIER + np.uint64(characters[i])
    return value
