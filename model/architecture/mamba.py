"""Mamba: a state-space mixer whose dynamics depend on the input.

Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (arXiv:2312.00752), figure 3 and
algorithm 2. The scan itself is in selective_scan.py. Letters: C features inside, N state.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.architecture.convolution import CausalConvolution
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext
from model.architecture.selective_scan import ScanInputs, selective_scan

STEP_RANGE = (0.001, 0.1)
"""Step sizes at initialization, log-uniform (section 3.6)."""


def step_rank(config: ModelConfig) -> int:
    """Rank of the projection that makes step sizes."""
    return config.recurrent.step_rank or -(-config.d_model // 16)


class Mamba(nn.Module):
    """`out(silu(gate) * (ssm(x) + skip * x))` with `x = silu(conv(...))`, x and gate made from the input."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        options = config.recurrent
        features, self.state, self.rank = options.expand * config.d_model, options.state, step_rank(config)
        self.name = f"{layer}.mamba"
        self.inner = Linear(config.d_model, 2 * features, bias=options.bias)
        self.convolution = CausalConvolution(
            features, options.convolution, bias=options.convolution_bias, name=f"{layer}.mamba.convolution"
        )
        self.select = Linear(features, self.rank + 2 * self.state)
        self.step = Linear(self.rank, features, bias=True)
        self.log_rates = nn.Parameter(torch.empty(features, self.state))
        self.skip = nn.Parameter(torch.ones(features))
        self.out = Linear(features, config.d_model, bias=options.bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        x_BTC, gate_BTC = self.inner(x_BTD).chunk(2, dim=-1)
        x_BTC = functional.silu(self.convolution(x_BTC, context))
        rank_BTR, write_BTN, read_BTN = self.select(x_BTC).split([self.rank, self.state, self.state], dim=-1)
        rates_CN = -torch.exp(self.log_rates.to(torch.promote_types(x_BTD.dtype, torch.float32)))
        inputs = ScanInputs(x_BTC, self.step(rank_BTR), write_BTN, read_BTN, gate_BTC, rates_CN, self.skip)
        y_BTD: Tensor = self.out(selective_scan(inputs, context, self.name))
        return y_BTD

    def initialize_own(self, generator: torch.Generator) -> None:
        """Rates 1, 2, ... N for every feature (S4D-real), step sizes log-uniform, small weights for the rest."""
        low, high = (math.log(bound) for bound in STEP_RANGE)
        self.log_rates.copy_(torch.arange(1, self.state + 1).float().log().expand_as(self.log_rates))
        self.skip.fill_(1.0)
        self.step.weight.uniform_(-(self.rank**-0.5), self.rank**-0.5, generator=generator)
        steps = torch.exp(torch.empty(self.step.bias.shape).uniform_(low, high, generator=generator))
        self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus gives `steps` back
