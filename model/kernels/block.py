"""One new token of each of a few sequences through a whole block of Llama, as an operator."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from model.kernels.block_kernels import decode_block
from model.kernels.launch import bits, shared_by
from model.kernels.library import kind_of, operator, refuse, space
from model.kernels.product import KINDS
from model.kernels.product_kernels import INT8

NAME = "decode_block"
MOST_ROWS = 8
ALONE = 4_194_304
"""Weights of a block times rows below which one thread is faster than waiting for others between its parts."""


class BlockWeights(NamedTuple):
    """Tensors of a block of Llama: norms (width,), matrices (out, in) float32, bfloat16 or int8 with scales (out,)."""

    attention_norm: Tensor
    feedforward_norm: Tensor
    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    qkv_scale: Tensor | None
    out_scale: Tensor | None
    gate_up_scale: Tensor | None
    down_scale: Tensor | None


def _norm(weight: Tensor, width: int) -> tuple[int, int]:
    """Kind and address of a norm's weights."""
    if weight.shape != (width,) or not weight.is_cpu or not weight.is_contiguous():
        raise refuse(NAME, f"a norm's weight is {tuple(weight.shape)} on {weight.device}, expected {(width,)} on cpu")
    return kind_of(NAME, weight), weight.data_ptr()


def _matrix(weight: Tensor, scale: Tensor | None, outputs: int, inputs: int) -> tuple[int, int, int]:
    """Kind, address, and address of the scales of a matrix."""
    kind = KINDS.get(weight.dtype)
    if weight.shape != (outputs, inputs) or kind is None or not weight.is_cpu or not weight.is_contiguous():
        raise refuse(
            NAME,
            f"a matrix is {weight.dtype} {tuple(weight.shape)} on {weight.device}, expected {(outputs, inputs)} on cpu",
        )
    if kind != INT8:
        return kind, weight.data_ptr(), 0
    if scale is None or scale.shape != (outputs,) or scale.dtype != torch.float32 or not scale.is_contiguous():
        raise refuse(NAME, f"an int8 matrix has {outputs} outputs and not as many float32 scales")
    return kind, weight.data_ptr(), scale.data_ptr()


def _decode(
    x: Tensor, keys: Tensor, values: Tensor, cos: Tensor, sin: Tensor, weights: list[Tensor],
    scales: list[Tensor | None], n_heads: int, length: int, turned: bool, eps: float,
) -> Tensor:  # fmt: skip
    rows, _, width = x.shape
    _, kv_heads, room, size = keys.shape
    held, inner, features = (rows, kv_heads, room, size), weights[5].shape[1], (n_heads + 2 * kv_heads) * size
    kind = kind_of(NAME, x)
    for tensor in (keys, values, cos, sin):
        if tensor.dtype != x.dtype or not tensor.is_cpu or not tensor.is_contiguous():
            raise refuse(NAME, f"cache and tables are not contiguous {x.dtype} on a CPU, as x is")
    if keys.shape != held or values.shape != held or not 0 <= length < room or n_heads % kv_heads:
        raise refuse(NAME, f"place {length} of keys {tuple(keys.shape)}, values {tuple(values.shape)}: expected {held}")
    if cos.numel() != size or sin.numel() != size or x.shape[1] != 1 or (turned and size % 2):
        raise refuse(NAME, f"x {tuple(x.shape)}, cos {tuple(cos.shape)}: expected one token, one angle for it")
    norms = [_norm(weight, width) for weight in weights[:2]]
    sides = ((features, width), (width, n_heads * size), (2 * inner, width), (width, inner))
    matrices = [_matrix(w, s, *side) for w, s, side in zip(weights[2:], scales, sides, strict=True)]
    x, y = x.contiguous(), x.new_empty(x.shape)
    numbers = width * (features + n_heads * size + 3 * inner) * rows
    n_shared = rows * (width + max(features + n_heads * size, 3 * inner))
    n_own = 2 * rows * width + rows + 3 * size + length + 1
    threads = shared_by(numbers, ALONE)
    decode_block.run(
        threads, rows, kind, width, n_heads, kv_heads, size, inner, int(turned), length, room, bits(eps), x, y, cos,
        sin, keys, values, *norms[0], *norms[1], *matrices[0], *matrices[1], *matrices[2], *matrices[3],
        space(n_shared), n_shared, space(threads, n_own), n_own,
    )  # fmt: skip
    return y


def _fake_decode(x: Tensor, *rest: object) -> Tensor:
    del rest
    return x.new_empty(x.shape)


_decode_block = operator(
    "decode_block(Tensor x, Tensor(a!) keys, Tensor(b!) values, Tensor cos, Tensor sin, Tensor[] weights, "
    "Tensor?[] scales, int n_heads, int length, bool turned, float eps) -> Tensor",
    _decode,
    _fake_decode,
)


def decoded_block(
    x: Tensor, keys: Tensor, values: Tensor, cos: Tensor, sin: Tensor, weights: BlockWeights, *, n_heads: int,
    length: int, turned: bool, eps: float,
) -> Tensor:  # fmt: skip
    """Send a token of each sequence through norm, attention, norm and gated unit; keys and values go into the cache.

    Args:
        x: (batch, 1, width) float32 or bfloat16 on a CPU.
        keys: (batch, kv_heads, places, head size) in x's type, contiguous; place number `length` is written.
        values: As keys.
        cos: Of the token's position, head size numbers in x's type.
        sin: As cos.
        weights: Of the block.
        n_heads: Heads of queries.
        length: Tokens that the cache holds.
        turned: Whether queries and keys turn by their positions.
        eps: Of both norms.

    Returns:
        As x.

    Raises:
        ValueError: Something does not fit.
    """
    y: Tensor = _decode_block(x, keys, values, cos, sin, weights[:6], weights[6:], n_heads, length, turned, eps)
    return y
