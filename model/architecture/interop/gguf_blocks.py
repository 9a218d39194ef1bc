"""The blocks that GGUF packs numbers into, and how to unpack them (ggml-org/llama.cpp, ggml/src/ggml-quants.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def _half(raw: Bytes) -> Floats:
    """(blocks, 2) bytes -> (blocks, 1)."""
    return raw.copy().view(np.float16).astype(np.float32)


def _f32(raw: Bytes) -> Floats:
    return raw.view(np.float32)


def _f16(raw: Bytes) -> Floats:
    return raw.view(np.float16).astype(np.float32)


def _bf16(raw: Bytes) -> Floats:
    return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _nibbles(raw: Bytes) -> NDArray[np.int16]:
    """16 bytes -> the 16 low halves, then the 16 high ones."""
    return np.concatenate([raw & 15, raw >> 4], axis=1).astype(np.int16)


def _fifth_bits(raw: Bytes) -> NDArray[np.int16]:
    """4 bytes -> 32 bits, worth 16 each."""
    return np.unpackbits(raw, axis=1, bitorder="little").astype(np.int16) << 4


def _q4_0(raw: Bytes) -> Floats:
    return _half(raw[:, :2]) * (_nibbles(raw[:, 2:]) - 8)


def _q4_1(raw: Bytes) -> Floats:
    return _half(raw[:, :2]) * _nibbles(raw[:, 4:]) + _half(raw[:, 2:4])


def _q5_0(raw: Bytes) -> Floats:
    return _half(raw[:, :2]) * ((_nibbles(raw[:, 6:]) | _fifth_bits(raw[:, 2:6])) - 16)


def _q5_1(raw: Bytes) -> Floats:
    return _half(raw[:, :2]) * (_nibbles(raw[:, 8:]) | _fifth_bits(raw[:, 4:8])) + _half(raw[:, 2:4])


def _q8_0(raw: Bytes) -> Floats:
    return _half(raw[:, :2]) * raw[:, 2:].copy().view(np.int8)


def _packed_scales(raw: Bytes) -> tuple[Floats, Floats]:
    """12 bytes -> 8 scales and 8 minima of 6 bits each."""
    low, middle, high = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 2) & 48)], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | ((middle >> 2) & 48)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _k_quants(raw: Bytes, numbers: NDArray[np.int16]) -> Floats:
    """(blocks, 8, 32) small numbers by the scales and minima in front of the block."""
    scales, minima = _packed_scales(raw[:, 4:16])
    scaled = (_half(raw[:, :2]) * scales)[..., None] * numbers - (_half(raw[:, 2:4]) * minima)[..., None]
    return scaled.reshape(len(raw), 256).astype(np.float32)


def _halves(raw: Bytes) -> NDArray[np.int16]:
    """128 bytes -> (8, 32): of each 32 bytes the low halves, then the high ones."""
    quarters = raw.reshape(len(raw), 4, 1, 32)
    return np.concatenate([quarters & 15, quarters >> 4], axis=2).reshape(len(raw), 8, 32).astype(np.int16)


def _q4_k(raw: Bytes) -> Floats:
    return _k_quants(raw, _halves(raw[:, 16:]))


def _q5_k(raw: Bytes) -> Floats:
    bits = (raw[:, 16:48, None] >> np.arange(8, dtype=np.uint8)) & 1
    return _k_quants(raw, _halves(raw[:, 48:]) | (bits.transpose(0, 2, 1).astype(np.int16) << 4))


def _q6_k(raw: Bytes) -> Floats:
    low = raw[:, :128].reshape(len(raw), 2, 1, 64) >> np.array([0, 4], np.uint8).reshape(1, 1, 2, 1)
    high = raw[:, 128:192].reshape(len(raw), 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    numbers = (low & 15).reshape(len(raw), 8, 32).astype(np.int16)
    numbers |= (high & 3).reshape(len(raw), 8, 32).astype(np.int16) << 4
    scales = _half(raw[:, 208:210]) * raw[:, 192:208].copy().view(np.int8)
    values: Floats = ((numbers - 32).reshape(len(raw), 16, 16) * scales[..., None]).reshape(len(raw), 256)
    return values.astype(np.float32)


@dataclass(frozen=True)
class Block:
    """A kind of packing.

    Attributes:
        name: What ggml calls it.
        numbers: Numbers in a block.
        n_bytes: Bytes of a block.
        unpack: (blocks, n_bytes) uint8 -> (blocks, numbers) float32.
    """

    name: str
    numbers: int
    n_bytes: int
    unpack: Callable[[Bytes], Floats]


BLOCKS: dict[int, Block] = {
    0: Block("F32", 1, 4, _f32),
    1: Block("F16", 1, 2, _f16),
    2: Block("Q4_0", 32, 18, _q4_0),
    3: Block("Q4_1", 32, 20, _q4_1),
    6: Block("Q5_0", 32, 22, _q5_0),
    7: Block("Q5_1", 32, 24, _q5_1),
    8: Block("Q8_0", 32, 34, _q8_0),
    12: Block("Q4_K", 256, 144, _q4_k),
    13: Block("Q5_K", 256, 176, _q5_k),
    14: Block("Q6_K", 256, 210, _q6_k),
    30: Block("BF16", 1, 2, _bf16),
}
"""By ggml's type numbers."""


def unpacked(raw: Bytes, kind: int, shape: tuple[int, ...]) -> Floats:
    """A tensor's numbers.

    Args:
        raw: (n_bytes,) its bytes, whole blocks.
        kind: A key of `BLOCKS`.
        shape: Rows first.
    """
    block = BLOCKS[kind]
    return block.unpack(raw.reshape(-1, block.n_bytes)).reshape(shape)
