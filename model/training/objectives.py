"""What training minimizes: the cross-entropy of the next token.

Head and cross-entropy are one function, in chunks of tokens, so that full logits never exist. Softmax minus one-hot is
the logits' gradient, and the softmax is there when the loss is known, so each chunk's logits are computed once, turned
into their own gradient in place and dropped (Wijmans et al. 2024, arXiv:2411.09009, and Liger's fused linear
cross-entropy do the same on a GPU).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.architecture.auxiliary import auxiliary_loss
from model.architecture.decoder import Decoder
from model.training.config import LossConfig

CHUNK_LOGITS = 4_194_304
"""Logits held at once: 4 M, so that a chunk stays in the processor's cache and full logits never exist."""
PLAIN = LossConfig()


class _HeadCrossEntropy(torch.autograd.Function):
    """Plain cross-entropy; the gradients are made on the way forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        n_tokens, needs_gradient = x.shape[0], torch.is_grad_enabled() or any(ctx.needs_input_grad)
        matrix, exact = weight.to(x.dtype), torch.promote_types(x.dtype, torch.float32)
        chunk = max(1, CHUNK_LOGITS // matrix.shape[0])
        total = torch.zeros((), dtype=exact, device=x.device)
        x_gradient = torch.empty_like(x) if needs_gradient else None
        weight_gradient = torch.zeros_like(weight, dtype=exact) if needs_gradient else None
        for start in range(0, n_tokens, chunk):
            part, wanted = x[start : start + chunk], targets[start : start + chunk, None]
            probabilities = torch.softmax(part @ matrix.T, dim=-1, dtype=exact)
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


class _RegularizedHeadCrossEntropy(torch.autograd.Function):
    """The same with label smoothing, z-loss and soft-capped logits.

    With `z` the logits after the cap and `L` their log-sum-exp, a token costs
    `L - (1 - smoothing) z[target] - smoothing mean(z) + z_weight L^2`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float, cap: float | None
    ) -> Tensor:
        n_tokens, needs_gradient = x.shape[0], torch.is_grad_enabled() or any(ctx.needs_input_grad)
        matrix, exact = weight.to(x.dtype), torch.promote_types(x.dtype, torch.float32)
        vocabulary = matrix.shape[0]
        chunk = max(1, CHUNK_LOGITS // vocabulary)
        total = torch.zeros((), dtype=exact, device=x.device)
        x_gradient = torch.empty_like(x) if needs_gradient else None
        weight_gradient = torch.zeros_like(weight, dtype=exact) if needs_gradient else None
        for start in range(0, n_tokens, chunk):
            part, wanted = x[start : start + chunk], targets[start : start + chunk, None]
            logits, slope = (part @ matrix.T).to(exact), None
            if cap is not None:
                logits.div_(cap).tanh_()
                slope = 1 - logits.square()
                logits.mul_(cap)
            log_sum = logits.logsumexp(dim=-1, keepdim=True)
            total += (log_sum + z_weight * log_sum.square()).sum()
            total -= (1 - smoothing) * logits.gather(1, wanted).sum() + smoothing * logits.mean(dim=-1).sum()
            if x_gradient is not None and weight_gradient is not None:
                gradient = logits.sub_(log_sum).exp_().mul_(1 + 2 * z_weight * log_sum).sub_(smoothing / vocabulary)
                gradient.scatter_add_(1, wanted, torch.full_like(log_sum, smoothing - 1))
                if slope is not None:
                    gradient.mul_(slope)
                logit_gradient = gradient.mul_(1 / n_tokens).to(x.dtype)
                torch.mm(logit_gradient, matrix, out=x_gradient[start : start + chunk])
                weight_gradient += logit_gradient.T @ part
        ctx.save_for_backward(x_gradient, weight_gradient)
        return total / n_tokens

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient * gradients[0].to(x_gradient.dtype), weight_gradient * gradients[0], None, None, None, None


def next_token_loss(
    hidden_BTD: Tensor,
    head_weight_VD: Tensor,
    targets_BT: Tensor,
    *,
    options: LossConfig = PLAIN,
    softcap: float | None = None,
) -> Tensor:
    """Mean cross-entropy of the targets, without ever holding all logits.

    Args:
        hidden_BTD: The network's output before the head, float32 or bfloat16.
        head_weight_VD: The head's weights, float32.
        targets_BT: Token ids, int64; negative ones are not counted.
        options: Label smoothing (Szegedy et al. 2015, arXiv:1512.00567, section 7) and z-loss (Chowdhery et al. 2022,
            PaLM, arXiv:2204.02311, section 5).
        softcap: The head's, where it has one: logits are kept below it by tanh.

    Returns:
        Scalar float32, nats per counted token; 0 where there is none.
    """
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
    counted_N = targets_N >= 0
    if not counted_N.all():
        hidden_ND, targets_N = hidden_ND[counted_N], targets_N[counted_N]
        if not len(targets_N):
            return hidden_BTD.float().sum() * 0.0
    loss: Tensor
    if options == PLAIN and softcap is None:
        loss = _HeadCrossEntropy.apply(hidden_ND, head_weight_VD, targets_N)  # type: ignore[no-untyped-call]
    else:
        loss = _RegularizedHeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden_ND, head_weight_VD, targets_N, options.label_smoothing, options.z_loss, softcap
        )
    return loss


def training_loss(
    model: Decoder,
    inputs_BT: Tensor,
    targets_BT: Tensor,
    *,
    options: LossConfig = PLAIN,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """What a step minimizes: the cross-entropy with its options, plus what the model's parts ask for (experts).

    Args:
        model: In training mode.
        inputs_BT: (batch, time) int64.
        targets_BT: (batch, time) int64, the inputs one token on; negative ones are not counted.
        options: See `next_token_loss`.
        documents_BT: See `Decoder.hidden`.
    """
    hidden_BTD = model.hidden(inputs_BT, documents_BT=documents_BT)
    loss = next_token_loss(
        hidden_BTD, model.head.weight, targets_BT, options=options, softcap=model.config.logit_softcap
    )
    extra = auxiliary_loss(model)
    return loss if extra is None else loss + extra
