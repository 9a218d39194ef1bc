"""The cross-entropy of the next token, and what early exits cost, through the head without ever holding all logits.

In chunks of tokens: each chunk's logits are computed once, turned into their own gradient in place and dropped
(`kernels/loss.py`). A head that is no plain product any more (an adapter, a hook, a parametrization) is called as a
module, chunk by chunk, and its logits are computed again on the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from model.architecture.head import SoftCappedHead
from model.architecture.plain_parts import is_plain_product
from model.kernels import loss as kernel
from model.kernels.library import takes


class LossOptions(Protocol):
    """What is added to the cross-entropy; `training.config.LossConfig` is one."""

    @property
    def label_smoothing(self) -> float:
        """Share of the target that is spread over the vocabulary (Szegedy et al. 2015, arXiv:1512.00567, section 7)."""
        ...

    @property
    def z_loss(self) -> float:
        """Weight of the squared log-sum-exp (Chowdhery et al. 2022, PaLM, arXiv:2204.02311, section 5)."""
        ...


class Terms(NamedTuple):
    """The options by themselves."""

    label_smoothing: float = 0.0
    z_loss: float = 0.0


PLAIN = Terms()


class _HeadCrossEntropy(torch.autograd.Function):
    """Head and loss where no kernel is, the gradients made on the way forward.

    With `z` the logits after the cap and `L` their log-sum-exp, a token costs
    `L - (1 - smoothing) z[target] - smoothing mean(z) + z_weight L^2`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, smoothing: float, z_weight: float, cap: float | None,
        needs_gradient: bool,
    ) -> Tensor:  # fmt: skip
        n_tokens = x.shape[0]
        matrix, exact = weight.to(x.dtype), torch.promote_types(x.dtype, torch.float32)
        vocabulary = matrix.shape[0]
        chunk = max(1, kernel.CHUNK_LOGITS // vocabulary)
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
        return x_gradient * gradients[0].to(x_gradient.dtype), weight_gradient * gradients[0], *(None,) * 5


def next_token_loss(
    hidden_BTD: Tensor,
    head_weight_VD: Tensor,
    targets_BT: Tensor,
    *,
    options: LossOptions = PLAIN,
    softcap: float | None = None,
) -> Tensor:
    """Mean cross-entropy of the targets behind a plain head.

    Args:
        hidden_BTD: The network's output before the head, float32 or bfloat16.
        head_weight_VD: The head's weights, float32.
        targets_BT: Token ids, int64; negative ones are not counted.
        options: Label smoothing and z-loss.
        softcap: The head's, where it has one: logits are kept below it by tanh.

    Returns:
        Scalar float32, nats per counted token; 0 where there is none.

    Raises:
        IndexError: A target is not in the vocabulary.
    """
    hidden_ND, targets_N = _counted(hidden_BTD, targets_BT)
    if not len(targets_N):
        return hidden_BTD.float().sum() * 0.0
    if softcap is None and takes(hidden_ND):
        return kernel.head_cross_entropy(hidden_ND, head_weight_VD, targets_N, options.label_smoothing, options.z_loss)
    loss: Tensor = _HeadCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_ND, head_weight_VD, targets_N, options.label_smoothing, options.z_loss, softcap, torch.is_grad_enabled()
    )
    return loss


def _counted(hidden_BTD: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
    """States and targets that count, (n, d_model) and (n,)."""
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
    counted_N = targets_N >= 0
    return (hidden_ND, targets_N) if counted_N.all() else (hidden_ND[counted_N], targets_N[counted_N])


def head_loss(head: nn.Module, hidden_BTD: Tensor, targets_BT: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """The same behind any head.

    Args:
        head: (..., d_model) -> (..., vocab).
        hidden_BTD: As above.
        targets_BT: As above.
        options: As above.
    """
    if is_plain_product(head):
        cap = head.cap if isinstance(head, SoftCappedHead) else None
        return next_token_loss(hidden_BTD, head.weight, targets_BT, options=options, softcap=cap)  # type: ignore[arg-type]
    hidden_ND, targets_N = _counted(hidden_BTD, targets_BT)
    if not len(targets_N):
        return hidden_BTD.float().sum() * 0.0

    def summed(part_ND: Tensor, wanted_N: Tensor) -> Tensor:
        logits_NV = head(part_ND).float()
        smoothing, z_weight = options.label_smoothing, options.z_loss
        loss = functional.cross_entropy(logits_NV, wanted_N, reduction="sum", label_smoothing=smoothing)
        return loss + z_weight * logits_NV.logsumexp(-1).square().sum() if z_weight else loss

    parts = zip(_chunks(head, hidden_ND), _chunks(head, hidden_ND, targets_N), strict=True)
    terms = [checkpoint(summed, part_ND, wanted_N, use_reentrant=False) for part_ND, wanted_N in parts]
    return torch.stack(terms).sum() / len(targets_N)


def _chunks(head: nn.Module, hidden_ND: Tensor, what: Tensor | None = None) -> tuple[Tensor, ...]:
    """Pieces of states (or of what belongs to them) whose logits fit."""
    with torch.no_grad():
        vocabulary = int(head(hidden_ND[:1]).shape[-1])
    found: tuple[Tensor, ...] = (hidden_ND if what is None else what).split(max(1, kernel.CHUNK_LOGITS // vocabulary))
    return found


def exit_loss(
    head: nn.Module,
    confident: Callable[[Tensor], Tensor],
    exit_BTD: Tensor,
    hidden_BTD: Tensor,
    targets_BT: Tensor,
    options: LossOptions = PLAIN,
) -> Tensor:
    """What an early exit costs: its cross-entropy, and that of its confidence.

    The confidence head learns whether the exit's best token is that of the last layer (Schuster et al. 2022,
    arXiv:2207.07061, section 3.5, the early exit classifier), and moves nothing else.

    Args:
        head: Of the network.
        confident: States to logits of being right (`depth.EarlyExit.confident`).
        exit_BTD: What the head reads at the exit.
        hidden_BTD: What it reads at the end.
        targets_BT: As for the loss.
        options: As for the loss.
    """
    loss, counted_BT = head_loss(head, exit_BTD, targets_BT, options), targets_BT >= 0
    agrees_N = best_tokens(head, exit_BTD[counted_BT]) == best_tokens(head, hidden_BTD[counted_BT])
    logits_N = confident(exit_BTD.detach())[counted_BT]
    sure = functional.binary_cross_entropy_with_logits(logits_N, agrees_N.to(logits_N.dtype), reduction="sum")
    return loss + sure / max(1, len(logits_N))


@torch.no_grad()
def best_tokens(head: nn.Module, hidden_ND: Tensor) -> Tensor:
    """The likeliest token of each state, (n,) int64, without ever holding all logits."""
    if not len(hidden_ND):
        return torch.zeros(0, dtype=torch.int64, device=hidden_ND.device)
    return torch.cat([head(part_ND).argmax(dim=-1) for part_ND in _chunks(head, hidden_ND)])
