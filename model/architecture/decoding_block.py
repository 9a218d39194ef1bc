"""One new token through a block by one kernel, where the block is Llama's and the cache lies open.

Everything else goes part by part (block.py), which computes the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.masks import AttentionContext
from model.kernels.block_kernels import decode_block
from model.kernels.launch import NUMBERS, bits, without_gradients
from model.kernels.product_kernels import INT8

if TYPE_CHECKING:
    from model.architecture.block import Block

MOST_ROWS = 8
MOST_WEIGHTS = 4_194_304
"""Weights of a block times rows up to which one thread is faster than calling every part and sharing its rows."""
KINDS = {**NUMBERS, torch.int8: INT8}


def is_plain(config: ModelConfig, layer: int) -> bool:
    """Whether a layer is a block of Llama: attention to everything before, a gated unit, no bias, nothing beside."""
    attention = config.attention
    alone = config.experts is None and config.feedforward.sparsity_loss == 0 and not config.feedforward.bias
    as_llama = config.norm.kind == "rms" and config.norm.placement == "pre" and config.norm.qk == "none"
    plain = attention.bias == attention.gate == "none" and attention.softcap is attention.scale is None
    places = config.positions(layer) in {"rope", "none"} and config.span(layer) == "full"
    own = attention.share_layers == 1 and config.initialization.kind != "mup"
    is_swiglu = config.mixer(layer) == "attention" and config.feedforward.kind == "swiglu"
    return alone and as_llama and plain and places and own and is_swiglu


class FusedBlock:
    """Knows the sizes of a plain block, and sends a token through its weights as they are now.

    Args:
        config: Of the network.
        layer: The block's number.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        self.layer, self.eps = config.cached_layers.index(layer), bits(config.norm_eps)
        self.width, self.inner = config.d_model, config.d_ff
        self.heads = (config.n_heads, config.n_kv_heads, config.head_size)
        self.turned = int(config.positions(layer) == "rope")
        features = (config.n_heads + 2 * config.n_kv_heads) * config.head_size
        self.numbers = 3 * self.width + features + 2 * config.n_heads * config.head_size + 3 * self.inner + 1
        self.weights = self.width * (features + config.n_heads * config.head_size + 3 * self.inner)

    def takes(self, x_BTD: Tensor, context: AttentionContext) -> bool:
        """Whether this is one new token of each of a few sequences, without padding, and nobody asks for gradients."""
        rows, time, _ = x_BTD.shape
        few = time == 1 and rows <= MOST_ROWS and context.cache is not None and context.mask is None
        if not few or not without_gradients(x_BTD):
            return False
        return self.weights * rows <= MOST_WEIGHTS or torch.get_num_threads() == 1

    def __call__(self, block: Block, x_BTD: Tensor, context: AttentionContext) -> Tensor | None:
        """(batch, 1, d_model) -> (batch, 1, d_model), or None where something is not as the kernel needs it."""
        room = context.cache.room(self.layer) if context.cache is not None else None
        if room is None or context.cache is None:
            return None
        attention, feedforward = block.attention, block.feedforward
        keys, values = room
        norms = [_stored(block.attention_norm), _stored(block.feedforward_norm)]
        parts = (attention.qkv, attention.out, feedforward.gate_up, feedforward.down)
        matrices = [_matrix(part) for part in parts]  # type: ignore[arg-type]
        length, longest = context.cache.length, keys.shape[2]
        if None in norms or None in matrices or length >= longest or keys.dtype != x_BTD.dtype:
            return None
        x_BTD, y_BTD = x_BTD.contiguous(), torch.empty_like(x_BTD)
        rows, (n_heads, n_kv_heads, size) = len(x_BTD), self.heads
        numbers = rows * self.numbers + 3 * size + longest
        space = torch.empty(numbers)
        decode_block.launch(
            rows, 0, NUMBERS[x_BTD.dtype], self.width, n_heads, n_kv_heads, size, self.inner, self.turned, length,
            longest, self.eps, x_BTD, y_BTD, context.cos, context.sin, keys, values,
            *(value for norm in norms for value in norm or ()), *(value for one in matrices for value in one or ()),
            space, numbers,
        )  # fmt: skip
        return y_BTD


def _stored(norm: nn.Module) -> tuple[int, int] | None:
    """Kind and address of a norm's weights."""
    weight: Tensor = norm.weight  # type: ignore[assignment]
    return (NUMBERS[weight.dtype], weight.data_ptr()) if weight.dtype in NUMBERS else None


def _matrix(part: nn.Module) -> tuple[int, int, int] | None:
    """Kind, address and address of the scales of a matrix, None if the kernel cannot read it."""
    weight: Tensor = part.weight  # type: ignore[assignment]
    kind = KINDS.get(weight.dtype)
    if kind is None or not weight.is_contiguous() or getattr(part, "bias", None) is not None:
        return None
    scale: Tensor = part.scale if kind == INT8 else weight  # type: ignore[assignment]
    return kind, weight.data_ptr(), scale.data_ptr()
