"""Head and cross-entropy as an operator, in chunks of tokens, so that full logits never exist.

Softmax minus one-hot is the logits' gradient, and the softmax is there when the loss is known, so each chunk's logits
are computed once, turned into their own gradient in place and dropped (Wijmans et al. 2024, arXiv:2411.09009, and
Liger's fused linear cross-entropy do the same on a GPU).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.kernels.launch import bits
from model.kernels.library import checked, differentiable, kind_of, operator, refuse, space
from model.kernels.loss_kernels import cross_entropy
from model.kernels.product import product

CHUNK_LOGITS = 4_194_304
"""Logits held at once: 4 M, so that a chunk stays in the processor's cache and full logits never exist."""
Three = tuple[Tensor, Tensor, Tensor]


def _forward(
    x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float, needs_gradient: bool
) -> Three:
    name = "head_cross_entropy"
    if x.dim() != 2 or weight.dim() != 2:
        raise refuse(name, f"x {tuple(x.shape)} and weight {tuple(weight.shape)} are no matrices")
    n_tokens, vocabulary = x.shape[0], weight.shape[0]
    x = checked(name, "x", x, x.dtype, tuple(x.shape))
    matrix = checked(name, "weight", weight.to(x.dtype), x.dtype, (vocabulary, x.shape[1]))
    targets = checked(name, "targets", targets, torch.int64, (n_tokens,))
    low, high = (int(bound) for bound in targets.aminmax()) if n_tokens else (0, 0)
    if low < 0 or high >= vocabulary:
        raise IndexError(f"tisslm::{name}: target {low if low < 0 else high}, expected 0 to {vocabulary - 1}")
    kind, chunk, losses = kind_of(name, x), max(1, CHUNK_LOGITS // vocabulary), space(n_tokens)
    _, x_gradient, weight_gradient = _fake_forward(x, weight, targets, smoothing, z_weight, needs_gradient)
    weight_gradient.zero_()
    options = (vocabulary, bits(smoothing), bits(z_weight), bits(1 / max(1, n_tokens)))
    for start in range(0, n_tokens, chunk):
        rows = slice(start, min(start + chunk, n_tokens))
        part = x[rows]
        logits = product(part, matrix)
        cross_entropy.launch(len(part), logits.numel(), kind, *options, logits, targets[rows], losses[rows])
        if needs_gradient:
            x_gradient[rows] = product(logits, matrix.T)
            weight_gradient += logits.T @ part
    return losses.mean(), x_gradient, weight_gradient


def _fake_forward(
    x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float, needs_gradient: bool
) -> Three:
    del targets, smoothing, z_weight
    return (
        x.new_empty((), dtype=torch.float32),
        x.new_empty(x.shape if needs_gradient else (0,)),
        weight.new_empty(weight.shape if needs_gradient else (0,), dtype=torch.float32),
    )


_cross_entropy = operator(
    "head_cross_entropy(Tensor x, Tensor weight, Tensor targets, float smoothing, float z_weight, bool needs_gradient)"
    " -> (Tensor, Tensor, Tensor)",
    _forward,
    _fake_forward,
)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Three) -> None:
    ctx.dtype = inputs[1].dtype
    ctx.save_for_backward(*output[1:])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, gradient: Tensor | None, *of_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    del of_gradients  # nobody gets them
    x_gradient, weight_gradient = ctx.saved_tensors
    if gradient is None or not x_gradient.dim():
        return (None,) * 6
    of_weight = (weight_gradient * gradient).to(ctx.dtype)
    return x_gradient * gradient.to(x_gradient.dtype), of_weight, None, None, None, None


differentiable("head_cross_entropy", _gradients, _keep)


def head_cross_entropy(x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float) -> Tensor:
    """Mean cross-entropy of `x W^T`; see `architecture/loss.py` for its terms.

    Args:
        x: (tokens, features) float32 or bfloat16 on a CPU.
        weight: (vocabulary, features).
        targets: (tokens,) int64.
        smoothing: Of the labels.
        z_weight: Of the squared log-sum-exp.

    Returns:
        Scalar float32, nats per token.

    Raises:
        IndexError: A target is not in the vocabulary.
    """
    loss: Tensor = _cross_entropy(x, weight, targets, smoothing, z_weight, torch.is_grad_enabled())[0]
    return loss
