"""What training minimizes: the cross-entropy of the next token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_LOGITS = 4_194_304
"""Logits held at once: 4 M, so that a chunk stays in the processor's cache and full logits never exist."""


class _HeadCrossEntropy(torch.autograd.Function):
    """Head and cross-entropy together, in chunks of tokens; the gradients are made on the way forward.

    Softmax minus one-hot is the logits' gradient, and the softmax is there when the loss is known, so each chunk's
    logits are computed once, turned into their own gradient in place and dropped (Wijmans et al. 2024,
    arXiv:2411.09009, and Liger's fused linear cross-entropy do the same on a GPU).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        n_tokens, needs_gradient = x.shape[0], torch.is_grad_enabled() or any(ctx.needs_input_grad)
        matrix = weight.to(x.dtype)
        chunk = max(1, CHUNK_LOGITS // matrix.shape[0])
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        x_gradient = torch.empty_like(x) if needs_gradient else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needs_gradient else None
        for start in range(0, n_tokens, chunk):
            part, wanted = x[start : start + chunk], targets[start : start + chunk, None]
            probabilities = torch.softmax(part @ matrix.T, dim=-1, dtype=torch.float32)
            chosen = probabilities.gather(1, wanted)
            total -= chosen.clamp_min(torch.finfo(torch.float32).tiny).log().sum()
            if x_gradient is not None and weight_gradient is not None:
                probabilities.scatter_(1, wanted, chosen - 1)
                logit_gradient = probabilities.mul_(1 / n_tokens).to(x.dtype)
                torch.mm(logit_gradient, matrix, out=x_gradient[start : start + chunk])
                weight_gradient += logit_gradient.T @ part
        ctx.save_for_backward(x_gradient, weight_gradient)
        return total / n_tokens

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient * gradients[0].to(x_gradient.dtype), weight_gradient * gradients[0], None


def next_token_loss(hidden_BTD: Tensor, head_weight_VD: Tensor, targets_BT: Tensor) -> Tensor:
    """Mean cross-entropy of the targets, without ever holding all logits.

    Args:
        hidden_BTD: The network's output before the head, float32 or bfloat16.
        head_weight_VD: The head's weights, float32.
        targets_BT: Token ids, int64; negative ones are not counted.

    Returns:
        Scalar float32, nats per counted token; 0 where there is none.
    """
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
    counted_N = targets_N >= 0
    if not counted_N.all():
        hidden_ND, targets_N = hidden_ND[counted_N], targets_N[counted_N]
        if not len(targets_N):
            return hidden_BTD.float().sum() * 0.0
    loss: Tensor = _HeadCrossEntropy.apply(hidden_ND, head_weight_VD, targets_N)  # type: ignore[no-untyped-call]
    return loss
