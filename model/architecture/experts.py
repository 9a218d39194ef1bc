"""A mixture of experts: many feed-forwards, of which each token goes through a few.

Routing by name (`ROUTINGS`): tokens choose their experts (Shazeer et al. 2017, arXiv:1701.06538; Switch, Fedus et al.
2021, arXiv:2101.03961), or experts choose their tokens (Zhou et al. 2022, arXiv:2202.09368). N tokens, E experts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.activation import ACTIVATIONS, GATES
from model.architecture.config import ModelConfig
from model.architecture.config.options import ExpertsConfig
from model.architecture.gate import gated
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext

THRESHOLD_MEMORY = 0.9
"""Share of the old threshold that a training step keeps."""


class TopKRouting(nn.Module):
    """Each token takes its `top_k` likeliest experts, weighted by their softmax among themselves (Mixtral).

    With a capacity an expert takes a sequence's tokens in their order until it is full, in training only: dropping by
    order looks at nothing later, so the model stays causal.
    """

    def __init__(self, options: ExpertsConfig) -> None:
        super().__init__()
        self.options = options

    def forward(self, logits_BTE: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (batch, time, experts), 0 where a token does not go, and the share of each expert (experts,)."""
        options = self.options
        best = logits_BTE.topk(options.top_k, dim=-1)
        weights_BTE = torch.zeros_like(logits_BTE).scatter(-1, best.indices, best.values.softmax(dim=-1))
        chosen_BTE = torch.zeros_like(logits_BTE).scatter(-1, best.indices, 1.0)
        if self.training and options.capacity is not None:
            room = math.ceil(options.capacity * options.top_k * logits_BTE.shape[1] / options.n_experts)
            weights_BTE = weights_BTE * (chosen_BTE.cumsum(dim=1) <= room)
        return weights_BTE, chosen_BTE.mean(dim=(0, 1))


class ExpertChoiceRouting(nn.Module):
    """Each expert takes the tokens whose score is above its own threshold, weighted by a sigmoid of the logit.

    In the paper an expert takes the best `capacity` tokens of a batch, which looks at later tokens. Here the threshold
    is a running mean of where that cut was in earlier training steps: loads are as even, nothing later is seen, and
    decoding token by token gives the same.
    """

    def __init__(self, options: ExpertsConfig) -> None:
        super().__init__()
        self.options = options
        self.threshold = nn.Parameter(torch.zeros(options.n_experts), requires_grad=False)

    def forward(self, logits_BTE: Tensor) -> tuple[Tensor, Tensor]:
        """As `TopKRouting.forward`."""
        chosen_BTE = (logits_BTE.detach() > self.threshold).to(logits_BTE.dtype)
        if self.training and torch.is_grad_enabled():
            share = self.options.top_k / self.options.n_experts
            cut = logits_BTE.detach().flatten(0, 1).quantile(1 - share, dim=0)
            self.threshold.mul_(THRESHOLD_MEMORY).add_(cut, alpha=1 - THRESHOLD_MEMORY)
        return torch.sigmoid(logits_BTE) * chosen_BTE, chosen_BTE.mean(dim=(0, 1))

    def initialize_own(self, generator: torch.Generator) -> None:
        """Thresholds begin at 0, where logits do."""
        del generator
        self.threshold.zero_()


ROUTINGS: dict[str, Callable[[ExpertsConfig], nn.Module]] = {
    "top_k": TopKRouting,
    "expert_choice": ExpertChoiceRouting,
}


class Experts(nn.Module):
    """Routed feed-forwards, and a shared one that every token goes through (Dai et al. 2024, arXiv:2401.06066).

    Attributes:
        product: How one expert's matrix is multiplied with; int8 weights bring their own.
        losses: Of the last forward pass in training: `load_balance` and `router_z`, unweighted scalars.
        usage: Share of tokens that each expert was chosen for in the last forward pass, (experts,).
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        del layer
        if config.experts is None:
            raise ValueError("config.experts is empty")
        options, kind = config.experts, config.feedforward.kind
        self.options = options
        self.middle = gated(kind) if kind in GATES else ACTIVATIONS[kind]
        halves = 2 if kind in GATES else 1
        self.router = Linear(config.d_model, options.n_experts)
        self.routing = ROUTINGS[options.routing](options)
        self.up = nn.Parameter(torch.empty(options.n_experts, halves * config.d_ff, config.d_model))
        self.down = nn.Parameter(torch.empty(options.n_experts, config.d_model, config.d_ff))
        self.product: Callable[[Tensor, Any, int], Tensor] = one_of_stack
        self.shared = (SharedExpert if options.shared_d_ff else NoExpert)(config, self.middle, halves)
        self.losses: dict[str, Tensor] = {}
        self.usage = torch.zeros(options.n_experts)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        del context
        # the router stays in float32: near ties must not depend on the stream's type
        logits_BTE = self.router(x_BTD.to(torch.promote_types(x_BTD.dtype, torch.float32)))
        weights_BTE, share_E = self.routing(logits_BTE)
        self.usage = share_E.detach()
        if self.training:
            self.losses = {
                "load_balance": load_balance_loss(logits_BTE, share_E),
                "router_z": router_z_loss(logits_BTE),
            }
        x_ND, weights_NE = x_BTD.flatten(0, 1), weights_BTE.flatten(0, 1).to(x_BTD.dtype)
        y_ND = self.shared(x_ND)
        for expert in range(self.options.n_experts):
            rows = weights_NE[:, expert].nonzero()[:, 0]
            part = self.product(self.middle(self.product(x_ND[rows], self.up, expert)), self.down, expert)
            y_ND = y_ND.index_add(0, rows, part * weights_NE[rows, expert, None])
        y_BTD: Tensor = y_ND.view_as(x_BTD)
        return y_BTD

    def weighted_losses(self) -> list[Tensor]:
        """Load balance and the router's z-loss, by the weights of the configuration."""
        weights = {"load_balance": self.options.load_balance_loss, "router_z": self.options.z_loss}
        return [weights[name] * loss for name, loss in self.losses.items()]


def one_of_stack(x_ND: Tensor, stack: Tensor, expert: int) -> Tensor:
    """Tokens times one expert's matrix: (tokens, in), (experts, out, in) -> (tokens, out), in x's dtype."""
    return functional.linear(x_ND, stack[expert].to(x_ND.dtype))


class SharedExpert(nn.Module):
    """A feed-forward that every token goes through, beside those that it chooses."""

    def __init__(self, config: ModelConfig, middle: Callable[[Tensor], Tensor], halves: int) -> None:
        super().__init__()
        width = config.experts.shared_d_ff if config.experts is not None else 0
        self.middle = middle
        self.up = Linear(config.d_model, halves * width)
        self.down = Linear(width, config.d_model)

    def forward(self, x_ND: Tensor) -> Tensor:
        """(tokens, d_model), same shape out."""
        y_ND: Tensor = self.down(self.middle(self.up(x_ND)))
        return y_ND


class NoExpert(nn.Module):
    """Nothing for every token."""

    def __init__(self, config: ModelConfig, middle: Callable[[Tensor], Tensor], halves: int) -> None:
        super().__init__()
        del config, middle, halves

    def forward(self, x_ND: Tensor) -> Tensor:
        """Zeros like the input."""
        return torch.zeros_like(x_ND)


def load_balance_loss(logits_BTE: Tensor, share_E: Tensor) -> Tensor:
    """Experts times the sum over them of (share of tokens) times (mean probability): Fedus et al. 2021, eq. 4.

    With `top_k` choices a token the shares sum to `top_k`, as in `transformers`. Least, `top_k`, where all are even.
    """
    return logits_BTE.shape[-1] * (share_E.detach() * logits_BTE.softmax(dim=-1).mean(dim=(0, 1))).sum()


def router_z_loss(logits_BTE: Tensor) -> Tensor:
    """Mean squared log-sum-exp of the router's logits (Zoph et al. 2022, ST-MoE, arXiv:2202.08906, eq. 5)."""
    return logits_BTE.logsumexp(dim=-1).square().mean()


def expert_usage(model: nn.Module) -> dict[str, list[float]]:
    """For each layer with experts, the share of tokens that each was chosen for in the last forward pass."""
    return {name: module.usage.tolist() for name, module in model.named_modules() if isinstance(module, Experts)}
