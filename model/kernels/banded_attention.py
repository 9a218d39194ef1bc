"""Plain causal attention of whole sequences as an operator, band by band of queries.

What is not visible behind a band is not computed. Softmax and its gradient are kernels, in the memory of the scores;
the products are torch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from model.kernels.launch import RowKernel, bits
from model.kernels.library import checked, differentiable, kind_of, operator, refuse, space
from model.kernels.softmax_kernels import causal_softmax, causal_softmax_gradient

BANDS = {torch.float32: 64, torch.bfloat16: 128}
"""Queries whose scores are one product: enough rows for it."""
Band = tuple[slice, slice, slice, tuple[int, int, int]]
"""Queries, the keys that they see, where their probabilities are kept, and these as (sequences, queries, keys)."""


def _bands(q: Tensor) -> Iterator[Band]:
    sequences, time, _ = q.shape
    place = 0
    for start in range(0, time, BANDS[q.dtype]):
        end = min(start + BANDS[q.dtype], time)
        shape = (sequences, end - start, end)
        numbers = shape[0] * shape[1] * shape[2]
        yield slice(start, end), slice(0, end), slice(place, place + numbers), shape
        place += numbers


def _numbers_kept(sequences: int, time: int, size: int) -> int:
    """Probabilities of all bands."""
    whole, rest = time // size, time % size
    return sequences * (size * size * (whole * (whole + 1) // 2) + rest * time)


def _run(kernel: RowKernel, start: int, head_size: int, weights: Tensor, other: Tensor) -> None:
    """Run a softmax kernel over a band whose first query stands at `start`; every text begins with its sequence."""
    sequences, queries, keys = weights.shape
    begins = torch.zeros(keys, dtype=torch.int64, device="cpu")
    kernel.launch(
        sequences * queries, weights.numel(), kind_of("banded_attention", weights), keys, 1, queries, start,
        bits(head_size**-0.5), 1, keys, begins, weights, other,
    )  # fmt: skip


def _forward(q: Tensor, k: Tensor, v: Tensor, keeps: bool) -> tuple[Tensor, Tensor]:
    name = "banded_attention"
    kind_of(name, q)
    if q.dim() != 3:
        raise refuse(name, f"queries are {tuple(q.shape)}, expected (sequences x heads, time, head size)")
    shape = tuple(q.shape)
    q, k, v = (checked(name, part, x, q.dtype, shape) for part, x in (("q", q), ("k", k), ("v", v)))
    y, kept = _fake_forward(q, k, v, keeps)
    for band, seen, place, sizes in _bands(q):
        weights = torch.bmm(q[:, band], k[:, seen].transpose(1, 2), out=kept[place].view(sizes) if keeps else None)
        _run(causal_softmax, band.start, shape[2], weights, space(torch.get_num_threads() * sizes[2]))
        torch.bmm(weights, v[:, seen], out=y[:, band])
    return y, kept


def _fake_forward(q: Tensor, k: Tensor, v: Tensor, keeps: bool) -> tuple[Tensor, Tensor]:
    del k, v
    return q.new_empty(q.shape), q.new_empty(_numbers_kept(q.shape[0], q.shape[1], BANDS[q.dtype]) if keeps else 0)


def _backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    name, shape = "banded_attention_backward", tuple(q.shape)
    q, k, v, gradient = (checked(name, part, x, q.dtype, shape)
                         for part, x in (("q", q), ("k", k), ("v", v), ("gradient", gradient)))  # fmt: skip
    kept = checked(name, "kept", kept, q.dtype, (_numbers_kept(shape[0], shape[1], BANDS[q.dtype]),))
    q_gradient, k_gradient, v_gradient = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for band, seen, place, sizes in _bands(q):
        weights = kept[place].view(sizes)
        v_gradient[:, seen] += torch.bmm(weights.transpose(1, 2), gradient[:, band])
        score_gradient = torch.bmm(gradient[:, band], v[:, seen].transpose(1, 2))
        _run(causal_softmax_gradient, band.start, shape[2], weights, score_gradient)
        torch.bmm(score_gradient, k[:, seen], out=q_gradient[:, band])
        k_gradient[:, seen] += torch.bmm(score_gradient.transpose(1, 2), q[:, band])
    return q_gradient, k_gradient, v_gradient


def _fake_backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    del gradient, kept
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


_attention = operator(
    "banded_attention(Tensor q, Tensor k, Tensor v, bool keeps) -> (Tensor, Tensor)", _forward, _fake_forward
)
_attention_backward = operator(
    "banded_attention_backward(Tensor gradient, Tensor q, Tensor k, Tensor v, Tensor kept) -> (Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], output[1])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, gradient: Tensor | None, of_kept: Tensor | None) -> tuple[Tensor | None, ...]:
    del of_kept  # nobody gets the probabilities
    if gradient is None:
        return None, None, None, None
    return *_attention_backward(gradient, *ctx.saved_tensors), None


differentiable("banded_attention", _gradients, _keep)


def banded_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal softmax attention; its probabilities are kept where gradients are wanted.

    Args:
        q: (sequences x heads, time, head_size) float32 or bfloat16 on a CPU.
        k: As q.
        v: As q.

    Returns:
        As q.
    """
    y: Tensor = _attention(q, k, v, torch.is_grad_enabled())[0]
    return y
