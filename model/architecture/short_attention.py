"""Causal attention by plain matrix products, for training at short context on a CPU.

Up to a few hundred tokens the score matrix is small, and storing it beats recomputing it: the CPU's fused kernel
spends most of a training step in its backward pass there (docs/lab-log.md has the figures). Same function as
`scaled_dot_product_attention(is_causal=True)`, checked against it in the tests.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from model.kernels.banded_attention import banded_attention
from model.kernels.library import takes

LONGEST = 512
LONGEST_BANDED = 1024
"""Tokens up to which the bands' probabilities are kept for the way back; without a way back any number."""


@functools.lru_cache(maxsize=8)
def _causal_bias(time: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, time, time): 0 where a query may look, -inf above the diagonal."""
    return torch.full((time, time), float("-inf"), dtype=dtype, device=device).triu_(1).unsqueeze(0)


class _ShortCausalAttention(torch.autograd.Function):
    """Softmax attention with its probabilities kept for the backward pass (Vaswani et al. 2017, eq. 1)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        scale = q.shape[-1] ** -0.5
        if bias is None:
            causal = _causal_bias(q.shape[1], q.dtype, q.device).expand(q.shape[0], -1, -1)
            scores = torch.baddbmm(causal, q, k.transpose(1, 2), alpha=scale)
        else:
            batch, _, time, _ = bias.shape
            scores = q.new_empty(q.shape[0], time, time)
            scores.view(batch, -1, time, time).copy_(bias)
            scores.baddbmm_(q, k.transpose(1, 2), alpha=scale)
        probabilities = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(q, k, v, probabilities)
        return torch.bmm(probabilities, v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, probabilities = ctx.saved_tensors
        (gradient,) = gradients
        v_gradient = torch.bmm(probabilities.transpose(1, 2), gradient)
        probability_gradient = torch.bmm(gradient, v.transpose(1, 2))
        score_gradient = torch.ops.aten._softmax_backward_data(probability_gradient, probabilities, -1, q.dtype)
        scale = q.shape[-1] ** -0.5
        q_gradient = torch.bmm(score_gradient, k).mul_(scale)
        k_gradient = torch.bmm(score_gradient.transpose(1, 2), q).mul_(scale)
        return q_gradient, k_gradient, v_gradient, None


def is_banded(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether bands are the fastest way for plain causal attention of whole sequences."""
    return q.shape[2] == k.shape[2] and (q.shape[2] <= LONGEST_BANDED or not torch.is_grad_enabled()) and takes(q, k, v)


def short_causal_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Causal attention within each sequence.

    Args:
        q: (batch, heads, time, head_size).
        k: (batch, kv_heads, time, head_size), kv_heads divides heads.
        v: As k.
        bias: (batch, 1, time, time) in q's dtype, 0 where a query may look and -inf elsewhere; it includes what causal
            forbids. None is plain causal attention.

    Returns:
        (batch, heads, time, head_size).
    """
    batch, heads, time, size = q.shape
    repeats = heads // k.shape[1]
    if repeats > 1:
        k, v = (x.repeat_interleave(repeats, dim=1) for x in (k, v))
    flat = (x.reshape(batch * heads, time, size) for x in (q, k, v))
    if bias is None and takes(q, k, v):
        return banded_attention(*flat).view(batch, heads, time, size)
    y: Tensor = _ShortCausalAttention.apply(*flat, bias)  # type: ignore[no-untyped-call]
    return y.view(batch, heads, time, size)
