"""Mamba: a state-space mixer whose dynamics depend on the input.

Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (arXiv:2312.00752), figure 3 and
algorithm 2. The scan runs in chunks, so that the states (time x features x state) of one chunk only are held without
gradients. Letters: C features inside, N state.
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
from model.architecture.scan import linear_scan

CHUNK = 64
STEP_RANGE = (0.001, 0.1)
"""Step sizes at initialization, log-uniform (section 3.6)."""


def step_rank(config: ModelConfig) -> int:
    """Rank of the projection that makes step sizes."""
    return config.recurrent.step_rank or -(-config.d_model // 16)


class Mamba(nn.Module):
    """`out(silu(z) * (ssm(silu(conv(x))) + skip * x))`, with x and z made from the input."""

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
        x_BTC, z_BTC = self.inner(x_BTD).chunk(2, dim=-1)
        x_BTC = functional.silu(self.convolution(x_BTC, context))
        rank_BTR, write_BTN, read_BTN = self.select(x_BTC).split([self.rank, self.state, self.state], dim=-1)
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        steps_BTC = functional.softplus(self.step(rank_BTR).to(exact))
        scanned = self._scan(steps_BTC, x_BTC.to(exact), write_BTN.to(exact), read_BTN.to(exact), context)
        y_BTC = scanned.to(x_BTD.dtype) + self.skip.to(x_BTD.dtype) * x_BTC
        y_BTD: Tensor = self.out(y_BTC * functional.silu(z_BTC))
        return y_BTD

    def _scan(
        self, steps_BTC: Tensor, x_BTC: Tensor, write_BTN: Tensor, read_BTN: Tensor, context: AttentionContext
    ) -> Tensor:
        """The selective scan (equations 2a, 2b and 4), chunk by chunk: (batch, time, features)."""
        rates_CN = -torch.exp(self.log_rates.to(x_BTC.dtype))
        begins_BT11 = (context.new_positions(x_BTC.shape[1]) == 0)[..., None, None]
        held = context.cache.recall(self.name) if context.cache is not None else None
        state_BCN = held[0] if held is not None else x_BTC.new_zeros(x_BTC.shape[0], *rates_CN.shape)
        outputs = []
        for start in range(0, x_BTC.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            decay = torch.exp(steps_BTC[:, part, :, None] * rates_CN).masked_fill(begins_BT11[:, part], 0.0)
            update = (steps_BTC[:, part] * x_BTC[:, part])[..., None] * write_BTN[:, part, None, :]
            states = linear_scan(decay, update, state_BCN)
            outputs.append((states @ read_BTN[:, part, :, None]).squeeze(-1))
            state_BCN = states[:, -1]
        if context.cache is not None:
            context.cache.remember(self.name, (state_BCN,))
        return torch.cat(outputs, dim=1)

    def initialize_own(self, generator: torch.Generator) -> None:
        """Rates 1, 2, ... N for every feature (S4D-real), step sizes log-uniform, small weights for the rest."""
        low, high = (math.log(bound) for bound in STEP_RANGE)
        self.log_rates.copy_(torch.arange(1, self.state + 1).float().log().expand_as(self.log_rates))
        self.skip.fill_(1.0)
        self.step.weight.uniform_(-(self.rank**-0.5), self.rank**-0.5, generator=generator)
        steps = torch.exp(torch.empty(self.step.bias.shape).uniform_(low, high, generator=generator))
        self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus gives `steps` back
