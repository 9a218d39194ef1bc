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
from torch.nn import functional

from model.architecture.auxiliary import auxiliary_loss
from model.architecture.decoder import Decoder
from model.architecture.linear import product
from model.kernels.launch import NUMBERS, bits, takes
from model.kernels.loss_kernels import cross_entropy
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


class _KernelHeadCrossEntropy(torch.autograd.Function):
    """The same by a kernel, label smoothing and z-loss included."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float, needs_gradient: bool
    ) -> Tensor:
        n_tokens = x.shape[0]
        matrix, vocabulary = weight.to(x.dtype), weight.shape[0]
        chunk = max(1, CHUNK_LOGITS // vocabulary)
        losses = torch.empty(n_tokens)
        x_gradient = torch.empty_like(x) if needs_gradient else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needs_gradient else None
        options = (vocabulary, bits(smoothing), bits(z_weight), bits(1 / n_tokens))
        for start in range(0, n_tokens, chunk):
            part = x[start : start + chunk]
            rows = slice(start, start + len(part))
            logits = product(part, matrix)
            cross_entropy.launch(
                len(part), logits.numel(), NUMBERS[x.dtype], *options, logits, targets[rows], losses[rows]
            )
            if x_gradient is not None and weight_gradient is not None:
                x_gradient[rows] = product(logits, matrix.T)
                weight_gradient += logits.T @ part
        ctx.save_for_backward(x_gradient, weight_gradient)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient * gradients[0].to(x_gradient.dtype), weight_gradient * gradients[0], None, None, None, None


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
    if softcap is None and takes(hidden_ND):
        loss = _KernelHeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden_ND, head_weight_VD, targets_N.contiguous(), options.label_smoothing, options.z_loss,
            torch.is_grad_enabled(),
        )  # fmt: skip
    elif options == PLAIN and softcap is None:
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
    """What a step minimizes: the cross-entropy with its options, plus what exits and parts ask for.

    Args:
        model: In training mode.
        inputs_BT: (batch, time) int64.
        targets_BT: (batch, time) int64, the inputs one token on; negative ones are not counted.
        options: See `next_token_loss`.
        documents_BT: See `Decoder.hidden`.
    """
    hidden_BTD = model.hidden(inputs_BT, documents_BT=documents_BT)
    exits: list[Tensor] = model.depth.take_exits()  # type: ignore[operator]
    loss = next_token_loss(
        hidden_BTD, model.head.weight, targets_BT, options=options, softcap=model.config.logit_softcap
    )
    for exit_BTD in exits:
        loss = loss + exit_loss(model, exit_BTD, hidden_BTD, targets_BT, options) / len(exits)
    extra = auxiliary_loss(model)
    return loss if extra is None else loss + extra


def exit_loss(
    model: Decoder, exit_BTD: Tensor, hidden_BTD: Tensor, targets_BT: Tensor, options: LossConfig = PLAIN
) -> Tensor:
    """What an early exit costs, times `depth.exit_loss`: its cross-entropy, and that of its confidence.

    The confidence head learns whether the exit's best token is that of the last layer (Schuster et al. 2022,
    arXiv:2207.07061, section 3.5, the early exit classifier), and moves nothing else.

    Args:
        model: With exits.
        exit_BTD: What the head reads at the exit.
        hidden_BTD: What it reads at the end.
        targets_BT: As for the loss.
        options: As for the loss.
    """
    weight, cap = model.head.weight, model.config.logit_softcap
    loss = next_token_loss(exit_BTD, weight, targets_BT, options=options, softcap=cap)
    counted_BT = targets_BT >= 0
    agrees_N = best_tokens(exit_BTD[counted_BT], weight) == best_tokens(hidden_BTD[counted_BT], weight)
    logits_N = model.depth.confident(exit_BTD.detach())[counted_BT]  # type: ignore[operator]
    sure = functional.binary_cross_entropy_with_logits(logits_N, agrees_N.to(logits_N.dtype), reduction="sum")
    return model.config.depth.exit_loss * (loss + sure / max(1, len(logits_N)))


@torch.no_grad()
def best_tokens(hidden_ND: Tensor, head_weight_VD: Tensor) -> Tensor:
    """The likeliest token of each state, (n,) int64, without ever holding all logits."""
    matrix = head_weight_VD.to(hidden_ND.dtype)
    chunk = max(1, CHUNK_LOGITS // matrix.shape[0])
    return torch.cat([(part @ matrix.T).argmax(dim=-1) for part in hidden_ND.split(chunk)])
