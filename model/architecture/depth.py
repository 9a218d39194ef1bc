"""How many layers a token goes through: all, until it is sure (early exit), or those that choose it.

Both are causal: whether a token goes on depends on the token and what is before it, so decoding with a cache gives the
same as reading a whole text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.experts import THRESHOLD_MEMORY
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext, allowed_before

Read = Callable[[Tensor], Tensor]
"""The residual stream -> what the head reads, both (batch, time, d_model)."""


class EveryLayer(nn.Module):
    """All blocks, one after the other."""

    def forward(self, blocks: Iterable[nn.Module], x_BTD: Tensor, context: AttentionContext, read: Read) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        del read
        for block in blocks:
            x_BTD = block(x_BTD, context)
        return x_BTD

    def take_exits(self) -> list[Tensor]:
        """There are none."""
        return []


class EarlyExit(nn.Module):
    """A token stops changing at the first exit where the confidence head is sure enough.

    Elbayad et al. 2020 (arXiv:1910.10073) and Schuster et al. 2022 (CALM, arXiv:2207.07061): exits share the final norm
    and the head; a classifier on the exit's state, shared by all exits, says how likely the exit's best token is that
    of the last layer. Later layers see a token that left as it was at its exit (CALM's state propagation), so its keys
    and values are there for others. Training uses all layers: `training_loss` adds the exits' cross-entropies.

    Attributes:
        threshold: Confidence that is enough, in inference; from 1 on every token goes through all layers.
        layers_used: (batch, time) int64, blocks that changed each token of the last pass in inference.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        every = config.depth.exit_every or config.n_layers
        self.exits = frozenset(range(every - 1, config.n_layers - 1, every))
        self.confidence = Linear(config.d_model, 1)
        self.threshold = 1.0
        self.layers_used = torch.zeros(1, 0, dtype=torch.long)
        self._states: list[Tensor] = []

    def forward(self, blocks: Iterable[nn.Module], x_BTD: Tensor, context: AttentionContext, read: Read) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        going_BT = torch.ones(x_BTD.shape[:2], dtype=torch.bool, device=x_BTD.device)
        used_BT, self._states = torch.zeros_like(going_BT, dtype=torch.long), []
        leaves = not self.training and self.threshold < 1
        for layer, block in enumerate(blocks):
            if leaves and not going_BT.any():
                block.pass_by(x_BTD, context)  # type: ignore[operator]
                continue
            y_BTD = block(x_BTD, context)
            x_BTD = torch.where(going_BT[..., None], y_BTD, x_BTD) if leaves else y_BTD
            used_BT += going_BT
            if layer in self.exits and self.training:
                self._states.append(read(x_BTD))
            elif layer in self.exits and leaves:
                going_BT = going_BT & (self.confident(read(x_BTD)).sigmoid() < self.threshold)
        self.layers_used = used_BT
        return x_BTD

    def confident(self, hidden_BTD: Tensor) -> Tensor:
        """How sure an exit is, logits (batch, time); never bfloat16, so that rounding moves no exit."""
        logits_BT1: Tensor = self.confidence(hidden_BTD.to(torch.promote_types(hidden_BTD.dtype, torch.float32)))
        return logits_BT1[..., 0]

    def take_exits(self) -> list[Tensor]:
        """What the head would read at each exit of the last pass in training; they are given once, not kept."""
        states, self._states = self._states, []
        return states


def build_depth(config: ModelConfig) -> nn.Module:
    """What runs the blocks."""
    return EveryLayer() if config.depth.exit_every is None else EarlyExit(config)


class RoutedBlock(nn.Module):
    """A block that only some tokens go through; the others pass it by (Raposo et al. 2024, arXiv:2404.02258).

    As in the paper, tokens that pass by are not seen by the block's attention either, and what the block adds is
    weighted by the router, which learns through that. The paper takes the best tokens of a sequence in training, which
    looks at later ones, and trains a predictor for decoding; here a token goes through where its score is above a
    threshold, the running mean of where that cut was in earlier training steps, as experts choose tokens (experts.py).
    """

    def __init__(self, block: nn.Module, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.block = block
        self.layer, self.capacity = layer, config.depth.capacity
        self.cached_shape = (config.n_kv_heads, config.head_size)
        self.router = Linear(config.d_model, 1)
        self.threshold = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.usage = 0.0

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        logits_BT = self.router(x_BTD.to(exact))[..., 0]
        chosen_BT = logits_BT.detach() > self.threshold
        self.usage = float(chosen_BT.float().mean())
        if self.training and torch.is_grad_enabled():
            cut = logits_BT.detach().flatten().quantile(1 - self.capacity)
            self.threshold.mul_(THRESHOLD_MEMORY).add_(cut, alpha=1 - THRESHOLD_MEMORY)
        weights_BT = (torch.sigmoid(logits_BT) * chosen_BT).to(x_BTD.dtype)
        if context.cache is not None:
            return self._with_cache(x_BTD, weights_BT, chosen_BT, context)
        return self._gathered(x_BTD, weights_BT, chosen_BT, context)

    def pass_by(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """No token goes through, and none is seen by later ones."""
        self._remember(torch.zeros(x_BTD.shape[:2], dtype=torch.bool, device=x_BTD.device), context)
        self._keep_places(x_BTD, context)

    def _gathered(self, x_BTD: Tensor, weights_BT: Tensor, chosen_BT: Tensor, context: AttentionContext) -> Tensor:
        """The chosen tokens of each sequence side by side, through the block, and back to their places."""
        n = max(1, int(chosen_BT.sum(dim=1).max()))
        places_BN = (~chosen_BT).to(torch.int8).argsort(dim=1, stable=True)[:, :n]
        rows_BND = places_BN[..., None].expand(-1, -1, x_BTD.shape[2])
        allowed = allowed_before(context, x_BTD.shape[1]).expand(len(x_BTD), -1, -1, -1)
        allowed = allowed.gather(2, places_BN[:, None, :, None].expand(-1, 1, -1, allowed.shape[3]))
        allowed = allowed.gather(3, places_BN[:, None, None, :].expand(-1, 1, n, -1))
        seen = chosen_BT.gather(1, places_BN)[:, None, None, :]
        itself = torch.eye(n, dtype=torch.bool, device=x_BTD.device)  # so that no row of fillers is empty
        angles = [
            table.expand(len(x_BTD), 1, -1, -1).gather(2, places_BN[:, None, :, None].expand(-1, 1, -1, table.shape[3]))
            for table in (context.cos, context.sin)
        ]
        positions = context.positions.expand(len(x_BTD), -1).gather(1, places_BN)
        inner = AttentionContext(angles[0], angles[1], (allowed & seen) | itself, None, None, positions)
        part_BND = x_BTD.gather(1, rows_BND)
        change_BND = (self.block(part_BND, inner) - part_BND) * weights_BT.gather(1, places_BN)[..., None]
        return x_BTD.scatter_add(1, rows_BND, change_BND)

    def _with_cache(self, x_BTD: Tensor, weights_BT: Tensor, chosen_BT: Tensor, context: AttentionContext) -> Tensor:
        """The same where all tokens have a place in the cache, those that passed by hidden from the others."""
        seen = self._remember(chosen_BT, context)[:, None, None, :]
        if not chosen_BT.any():
            self._keep_places(x_BTD, context)
            return x_BTD
        time = x_BTD.shape[1]
        allowed = allowed_before(context, time)
        itself = torch.eye(time, dtype=torch.bool, device=x_BTD.device)
        itself = torch.cat([itself.new_zeros(time, allowed.shape[3] - time), itself], dim=1)
        inner = replace(context, mask=(allowed & seen) | itself, biases={}, rules={})
        y_BTD: Tensor = x_BTD + (self.block(x_BTD, inner) - x_BTD) * weights_BT[..., None]
        return y_BTD

    def _remember(self, chosen_BT: Tensor, context: AttentionContext) -> Tensor:
        """Which of all tokens so far went through: (batch, all) bool."""
        if context.cache is None:
            return chosen_BT
        name = f"{self.layer}.depth"
        earlier = context.cache.recall(name)
        chosen_BT = chosen_BT if earlier is None else torch.cat([earlier[0], chosen_BT], dim=1)
        context.cache.remember(name, (chosen_BT,))
        return chosen_BT

    def _keep_places(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Zeros in the cache: what is hidden must still be numbers."""
        if context.cache is not None:
            heads, size = self.cached_shape
            nothing = x_BTD.new_zeros(x_BTD.shape[0], heads, x_BTD.shape[1], size)
            context.cache.update(self.layer, nothing, nothing)

    def initialize_own(self, generator: torch.Generator) -> None:
        """The threshold begins at 0, where logits do."""
        del generator
        self.threshold.zero_()


def depth_usage(model: nn.Module) -> dict[str, float]:
    """For each routed block the share of tokens that it computed in the last pass, and the mean layers to the exit."""
    found = {name: part.usage for name, part in model.named_modules() if isinstance(part, RoutedBlock)}
    for part in model.modules():
        if isinstance(part, EarlyExit) and part.layers_used.numel():
            found["layers_used"] = float(part.layers_used.float().mean())
    return found
