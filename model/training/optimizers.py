"""Optimizers by name."""

from __future__ import annotations

import torch

from model.architecture.decoder import Decoder
from model.architecture.initialization import learning_rate_factors
from model.architecture.linear import Linear
from model.training.config import PretrainConfig


def build_optimizers(model: Decoder, config: PretrainConfig) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of a model, each with its own parameters.

    `adamw`: fused AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), decay on matrices only.
    `muon`: Muon (Jordan et al. 2024) for the matrices inside the blocks, its update scaled to AdamW's root mean square
    (Liu et al. 2025, arXiv:2502.16982, section 2.2), so that one learning rate serves both; AdamW for the rest.
    muP's factors (`learning_rate_factors`) are part of the groups and are multiplied in by the step.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = {id(m.weight) for m in model.blocks.modules() if isinstance(m, Linear)}
    hidden = [p for _, p in named if id(p) in matrices] if config.optimizer == "muon" else []
    taken = {id(p) for p in hidden}
    factors = learning_rate_factors(model)
    groups = [
        {
            "params": [p for n, p in named if id(p) not in taken and (p.dim() >= 2) == decays and factors[n] == factor],
            "weight_decay": config.weight_decay if decays else 0.0,
            "factor": factor,
        }
        for decays in (True, False)
        for factor in sorted({factors[n] for n, _ in named}, reverse=True)
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
