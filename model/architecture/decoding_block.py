"""One new token through a block by one kernel, where it is Llama's, nobody looks inside and the cache is open.

Everything else goes part by part (block.py), which computes the same. The kernel reads weights past the `forward` of
the parts that own them. At every call it is asked whether each part is exactly the plain one: an adapter or another
part in its place, a hook, a parametrization or a `forward` of its own sends the token part by part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from model.architecture.attention import Attention, unscaled
from model.architecture.feedforward import GatedUnit
from model.architecture.gate import gated_silu
from model.architecture.masks import PlainLook
from model.architecture.norm import NoNorm, RMSNorm
from model.architecture.plain_parts import TENSORS, is_plain_product, is_unwatched
from model.architecture.position import rotate, unturned
from model.architecture.shared_keys import OwnKeys
from model.kernels.block import MOST_ROWS, BlockWeights, decoded_block
from model.kernels.library import NUMBERS, without_gradients
from model.kernels.product import KINDS

if TYPE_CHECKING:
    from model.architecture.masks import AttentionContext

PARTS: dict[type[nn.Module], Any] = {
    Attention: Attention.forward, GatedUnit: GatedUnit.forward, RMSNorm: RMSNorm.forward, NoNorm: NoNorm.forward,
    nn.Dropout: nn.Dropout.forward,
}  # fmt: skip
"""Kinds of parts that the kernel knows, and the `forward` that it stands for; products say it of themselves."""
Parts = dict[str, Any]
NAMES = frozenset({"attention_norm", "attention", "feedforward_norm", "feedforward"})


def decoded(parts: Parts, x_BTD: Tensor, context: AttentionContext) -> Tensor | None:
    """(batch, 1, d_model) -> (batch, 1, d_model), or None where something is not as the kernel needs it.

    Args:
        parts: A block's submodules by name.
        x_BTD: The residual stream.
        context: Of the pass.
    """
    rows, time, _ = x_BTD.shape
    if time != 1 or rows > MOST_ROWS or context.cache is None or context.mask is not None:
        return None
    if context.documents is not None or not without_gradients(x_BTD, context.cos) or not are_plain(parts):
        return None
    attention = parts["attention"]
    room = context.cache.room(attention.keys.place)
    if room is None or context.cache.length >= room[0].shape[2] or room[0].dtype != x_BTD.dtype:
        return None
    weights = _weights(parts)
    if weights is None or not (room[0].is_contiguous() and room[1].is_contiguous()):
        return None
    return decoded_block(
        x_BTD, *room, context.cos.contiguous(), context.sin.contiguous(), weights, n_heads=attention.n_heads,
        length=context.cache.length, turned=attention.turn is rotate, eps=parts["attention_norm"].eps,
    )  # fmt: skip


def are_plain(parts: Parts) -> bool:
    """Whether these are the parts of a block of Llama in inference, and nobody looks into them."""
    if not NAMES <= parts.keys() <= NAMES | {"dropout"}:
        return False
    if "dropout" in parts and (parts["dropout"].training or not _is_untouched(parts["dropout"], nn.Dropout)):
        return False
    attention, unit = parts["attention"], parts["feedforward"]
    if not (_is_untouched(attention, Attention) and _is_untouched(unit, GatedUnit)):
        return False
    norms, inside, beside = (parts["attention_norm"], parts["feedforward_norm"]), attention._modules, unit._modules
    if inside.keys() != {"qkv", "qk_norm", "out"} or beside.keys() != {"gate_up", "down"}:
        return False  # a gate, a watch, scaled queries, or what somebody added
    if not (_is_untouched(norms[0], RMSNorm) and _is_untouched(norms[1], RMSNorm) and norms[0].eps == norms[1].eps):
        return False
    if not _is_untouched(inside["qk_norm"], NoNorm) or unit.gated is not gated_silu:
        return False
    if attention.scale_queries is not unscaled or attention.softcap is not None or type(attention.keys) is not OwnKeys:
        return False
    turn, dropped = rotate if attention.rotary else unturned, attention.training and attention.dropout
    if type(attention.look) is not PlainLook or attention.turn is not turn or dropped:
        return False
    return all(is_plain_product(part) for part in (inside["qkv"], inside["out"], beside["gate_up"], beside["down"]))


def _is_untouched(part: Any, kind: type[nn.Module]) -> bool:
    """Whether a part is exactly of a kind, computes what the kind does, and has no hooks."""
    return type(part) is kind and kind.forward is PARTS[kind] and is_unwatched(part)


def _weights(parts: Parts) -> BlockWeights | None:
    """The tensors as they are now; None where the kernel cannot read one."""
    inside, beside = parts["attention"]._modules, parts["feedforward"]._modules
    norms = parts["attention_norm"].weight, parts["feedforward_norm"].weight
    products = (inside["qkv"], inside["out"], beside["gate_up"], beside["down"])
    matrices = [product.weight for product in products]
    if not all(type(m) in TENSORS and m.dtype in KINDS and m.is_cpu and m.is_contiguous() for m in matrices):
        return None
    if not all(type(norm) in TENSORS and norm.dtype in NUMBERS and norm.is_cpu for norm in norms):
        return None
    scales = [product.scale if m.dtype == torch.int8 else None for product, m in zip(products, matrices, strict=True)]
    return BlockWeights(*norms, *matrices, *scales)
