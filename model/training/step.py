"""One optimizer step: forward, backward, clip, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.architecture.decoder import Decoder
from model.errors import TrainingError
from model.training.objectives import PLAIN, LossOptions, training_loss


@dataclass(frozen=True)
class StepResult:
    """What a step tells: loss in nats per token and the gradient's global norm before clipping."""

    loss: float
    gradient_norm: float


def resolved_dtype(name: str, device: str) -> torch.dtype:
    """The type of the matrix products: `auto` is bf16 where the device computes in it, else fp32."""
    if name == "auto":
        if device == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]


def train_step(
    model: Decoder,
    optimizers: Mapping[str, torch.optim.Optimizer],
    inputs_BT: Tensor,
    targets_BT: Tensor,
    *,
    step: int,
    learning_rate: float,
    clip_norm: float,
    documents_BT: Tensor | None = None,
    loss_options: LossOptions = PLAIN,
) -> StepResult:
    """Make one step; the weights are untouched when the loss or a gradient is not finite.

    Args:
        model: In training mode.
        optimizers: See `build_optimizers`.
        inputs_BT: (batch, time) int64.
        targets_BT: (batch, time) int64, the inputs one token on; negative ones are not counted.
        step: Number of the step, for the message.
        learning_rate: Of this step.
        clip_norm: Largest global norm of the gradient.
        documents_BT: (batch, time) int64, where attention must not cross documents; see `Decoder.hidden`.
        loss_options: What is added to the cross-entropy.

    Raises:
        TrainingError: The loss or the gradient is NaN or infinite.
    """
    loss = training_loss(model, inputs_BT, targets_BT, options=loss_options, documents_BT=documents_BT)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    result = StepResult(loss.item(), norm.item())
    for name, value in {"loss": result.loss, "gradient norm": result.gradient_norm}.items():
        if not abs(value) < float("inf"):
            raise TrainingError(
                f"step {step}: {name} is {value}, expected a finite number; nothing of this step was kept: "
                "lower pretrain.learning_rate or pretrain.clip_norm, or set pretrain.dtype to fp32, and run again"
            )
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group.get("factor", 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return result
