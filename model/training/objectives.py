"""What training minimizes: the cross-entropy of the next token, and what parts of the network ask for beside it."""

from __future__ import annotations

from torch import Tensor

from model.architecture.auxiliary import auxiliary_loss
from model.architecture.decoder import Decoder
from model.architecture.loss import PLAIN, LossOptions, next_token_loss

__all__ = ["PLAIN", "LossOptions", "next_token_loss", "training_loss"]


def training_loss(
    model: Decoder,
    inputs_BT: Tensor,
    targets_BT: Tensor,
    *,
    options: LossOptions = PLAIN,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """What a step minimizes: the cross-entropy with its options, plus what exits and parts ask for.

    Args:
        model: In training mode; it is called, so wrappers and hooks see the step.
        inputs_BT: (batch, time) int64.
        targets_BT: (batch, time) int64, the inputs one token on; negative ones are not counted.
        options: See `next_token_loss`.
        documents_BT: See `Decoder.hidden`.
    """
    loss: Tensor = model(inputs_BT, targets_BT=targets_BT, options=options, documents_BT=documents_BT)
    extra = auxiliary_loss(model)
    return loss if extra is None else loss + extra
