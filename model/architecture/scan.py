"""Linear recurrences over time: `h[t] = decay[t] * h[t - 1] + update[t]`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Scan(torch.autograd.Function):
    """One fused multiply-add for each token; backwards the same recurrence runs from the end.

    On a CPU this reads and writes every number once, where a parallel scan takes log2(time) passes.
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor, start: Tensor) -> Tensor:
        states = torch.empty_like(update)
        state = start
        for t in range(update.shape[1]):
            state = torch.addcmul(update[:, t], decay[:, t], state, out=states[:, t])
        ctx.save_for_backward(decay, states, start)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, states, start = ctx.saved_tensors
        (gradient,) = gradients
        total = gradient.clone(memory_format=torch.contiguous_format)
        for t in range(total.shape[1] - 2, -1, -1):
            total[:, t].addcmul_(decay[:, t + 1], total[:, t + 1])
        before = torch.cat([start[:, None], states[:, :-1]], dim=1)
        return total * before, total, total[:, 0] * decay[:, 0]


def linear_scan(decay: Tensor, update: Tensor, start: Tensor) -> Tensor:
    """All states of the recurrence.

    Args:
        decay: (batch, time, ...), what is left of the state before; 0 forgets it.
        update: As decay, what is added.
        start: (batch, ...), the state before the first token.

    Returns:
        (batch, time, ...): the state after each token.
    """
    states: Tensor = _Scan.apply(decay, update, start)  # type: ignore[no-untyped-call]
    return states


def running_maximum(x: Tensor, positions: Tensor, start: Tensor) -> Tensor:
    """The largest value of a document so far.

    Args:
        x: (batch, time, features).
        positions: (batch or 1, time) int64; a document begins where it is 0.
        start: (batch, features), the maximum before the first token, -inf for none.

    Returns:
        As x, without gradient.
    """
    x = x.detach().clone()
    begins = positions[:, 0, None] == 0
    x[:, 0] = torch.where(begins, x[:, 0], torch.maximum(x[:, 0], start))
    reach = 1
    while reach < x.shape[1]:
        # doubling: after a round each token knows the maximum of `2 * reach` tokens
        inside = (positions[:, reach:] >= reach)[..., None]
        x = torch.cat([x[:, :reach], torch.where(inside, torch.maximum(x[:, reach:], x[:, :-reach]), x[:, reach:])], 1)
        reach *= 2
    return x
