"""Optimizers by name."""

from __future__ import annotations

import torch
from torch import nn

from model.training.config import PretrainConfig


def build_optimizers(model: nn.Module, config: PretrainConfig) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of a model, each with its own parameters.

    `adamw`: fused AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), decay on matrices only.
    `muon`: Muon (Jordan et al. 2024) for the matrices inside the blocks, its update scaled to AdamW's root mean square
    (Liu et al. 2025, arXiv:2502.16982, section 2.2), so that one learning rate serves both; AdamW for the rest.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    hidden = [p for n, p in named if p.dim() == 2 and n.startswith("blocks.")] if config.optimizer == "muon" else []
    taken = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {
        "adamw": torch.optim.AdamW(
            [g for g in groups if g["params"]], lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True
        )
    }
    if hidden:
        optimizers["muon"] = torch.optim.Muon(
            hidden,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            nesterov=True,
            adjust_lr_fn="match_rms_adamw",
        )
    return optimizers
