"""Attention by FlexAttention: kernels that torch compiles from what a look says about one query and one key.

Dong et al. 2024, "Flex Attention" (arXiv:2412.05496). No score matrix, bias or mask of (queries, keys) is kept: blocks
of 128 x 128 pairs that nobody sees are skipped, by a list that is made once in a pass for all layers with the same
look. What the functions below capture are tensors, not numbers, so that another window or length needs no other kernel.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from model.architecture.masks import SPANS, AttentionContext, PlainLook, Sight, SpanSizes, alibi_slopes, span_sizes
from model.architecture.soft_cap import soft_capped

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

logger = logging.getLogger(__name__)

KERNELS = 64
"""That torch compiles at most: one for each kind of look and pass, and again where lengths change."""

Allowed = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(sequence, head, query, key) by number -> whether the query may look at the key, bool; all of no dimension."""
Scored = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(score, sequence, head, query, key) -> the score that the softmax gets."""


class Rule(NamedTuple):
    """What a layer sees, for FlexAttention.

    Attributes:
        blocks: Who may look at whom, and which blocks of pairs nobody needs.
        scored: What becomes of a score; None leaves it.
    """

    blocks: BlockMask
    scored: Scored | None


def flexible_attention(q: Tensor, k: Tensor, v: Tensor, sight: Sight, softcap: float | None) -> Tensor:
    """Softmax attention of the last `time` of `all` tokens.

    Args:
        q: (batch, heads, time, head_size).
        k: (batch, kv_heads, all, head_size), kv_heads divides heads.
        v: As k.
        sight: Who may look at whom.
        softcap: `softcap * tanh(scores / softcap)` before ALiBi; None is without.

    Returns:
        (batch, heads, time, head_size).
    """
    flex_attention, create_block_mask = _kernels()
    rules, key = sight.context.rules, (sight.look, softcap)
    if key not in rules:
        batch, total, context = k.shape[0], k.shape[2], sight.context
        differ = context.documents is not None or context.mask is not None
        allowed = allowed_of(sight, batch)
        blocks = create_block_mask(allowed, batch if differ else None, None, sight.time, total, device=q.device)
        rules[key] = Rule(blocks, scored_of(sight, batch, softcap))
    blocks, scored = rules[key]
    grouped = k.shape[1] != q.shape[1]
    y: Tensor = flex_attention(q, k, v, score_mod=scored, block_mask=blocks, enable_gqa=grouped)
    return y


def allowed_of(sight: Sight, batch: int) -> Allowed:
    """Who may look at whom, pair by pair: the same as the look's bias."""
    before, sees = _before(sight.context, batch), SPANS[sight.look.span]
    keys, queries = _positions(sight, batch)
    sizes = SpanSizes(*(torch.tensor(size, device=keys.device) for size in span_sizes(sight.look.options)))

    def allowed(sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = sees(queries[sequence, query], keys[sequence, key], sizes)
        return before(sequence, head, query, key) & seen

    return allowed


def _before(context: AttentionContext, batch: int) -> Allowed:
    """What causality, padding and documents allow; `masks.allowed_before` pair by pair."""
    if context.documents is not None:
        documents = context.documents
        return lambda sequence, _head, query, key: (
            (key <= query) & (documents[sequence, query] == documents[sequence, key])
        )
    if context.mask is not None:
        mask = context.mask[:, 0].expand(batch, -1, -1)
        return lambda sequence, _head, query, key: mask[sequence, query, key]
    return lambda _sequence, _head, query, key: key <= query


def scored_of(sight: Sight, batch: int, softcap: float | None) -> Scored | None:
    """The soft cap and ALiBi's slopes, pair by pair."""
    keys, queries = _positions(sight, batch)
    cap = torch.tensor(softcap or 0.0, device=keys.device)
    slopes = alibi_slopes(sight.look.alibi_heads or 1).to(keys.device)

    def capped(score: Tensor, _sequence: Tensor, _head: Tensor, _query: Tensor, _key: Tensor) -> Tensor:
        return soft_capped(score, cap)

    def sloped(score: Tensor, sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + slopes[head] * (keys[sequence, key] - queries[sequence, query])

    def both(score: Tensor, sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return sloped(capped(score, sequence, head, query, key), sequence, head, query, key)

    has_cap, has_slopes = softcap is not None, sight.look.alibi_heads > 0
    ways = {(False, False): None, (True, False): capped, (False, True): sloped, (True, True): both}
    return ways[has_cap, has_slopes]


def _positions(sight: Sight, batch: int) -> tuple[Tensor, Tensor]:
    """Of the keys, (batch, all), and of the queries, (batch, time)."""
    keys = sight.context.positions.expand(batch, -1).contiguous()
    return keys, keys[:, keys.shape[1] - sight.time :].contiguous()


@functools.cache
def _kernels() -> tuple[Callable[..., Any], Callable[..., BlockMask]]:
    """FlexAttention and the maker of its blocks, compiled at their first call and once for all layers."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    to_kernel: Callable[..., Any] = functools.partial(torch.compile, recompile_limit=KERNELS)
    return to_kernel(flex_attention), to_kernel(create_block_mask)


@functools.cache
def compiles(device: str) -> bool:
    """Whether this machine compiles FlexAttention for a device, tried once on a small example; where not, it is logged.

    Args:
        device: Its type.
    """
    x = torch.ones(1, 1, 128, 32, device=device, requires_grad=device != "cpu")  # torch: no gradients on a CPU
    context = AttentionContext(x, x, None, None, None, torch.arange(128, device=device)[None])
    try:
        y = flexible_attention(x, x, x, Sight(PlainLook(), context, 128), softcap=1.0)
        if x.requires_grad:
            y.sum().backward()
    except (RuntimeError, ImportError, OSError) as error:  # no Triton, no compiler, a GPU that is too old
        reason = next(iter(str(error).split("\n")), "")
        logger.warning(
            "attention: torch cannot compile FlexAttention for %s here (%s: %s); spans, documents and soft caps go "
            "through dense masks, which take more time and memory",
            device,
            type(error).__name__,
            reason,
        )
        return False
    return True
