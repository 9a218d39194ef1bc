"""What each token goes through alone: gated units, plain activations, convolutions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from model.architecture.activation import ACTIVATIONS, GATES
from model.architecture.auxiliary import build_watch
from model.architecture.config import ModelConfig
from model.architecture.convolution import CausalConvolution
from model.architecture.gate import gated
from model.architecture.linear import Linear
from model.architecture.masks import AttentionContext


class GatedUnit(nn.Module):
    """`down(activation(gate(x)) * up(x))` (Shazeer 2020, arXiv:2002.05202, eq. 6); gate and up are one product."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        del layer
        self.gated = gated(config.feedforward.kind)
        self.gate_up = Linear(config.d_model, 2 * config.d_ff, bias=config.feedforward.bias)
        self.watch = build_watch(config.feedforward.sparsity_loss)
        self.down = Linear(config.d_ff, config.d_model, bias=config.feedforward.bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        del context
        y_BTD: Tensor = self.down(self.watch(self.gated(self.gate_up(x_BTD))))
        return y_BTD


class Plain(nn.Module):
    """`down(activation(up(x)))` (Vaswani et al. 2017, eq. 2)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        del layer
        self.activation = ACTIVATIONS[config.feedforward.kind]
        self.up = Linear(config.d_model, config.d_ff, bias=config.feedforward.bias)
        self.watch = build_watch(config.feedforward.sparsity_loss)
        self.down = Linear(config.d_ff, config.d_model, bias=config.feedforward.bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        del context
        y_BTD: Tensor = self.down(self.watch(self.activation(self.up(x_BTD))))
        return y_BTD


class KernelOne(nn.Conv1d):
    """A convolution of kernel size 1 over time, with bias or without; it follows the type of its input."""

    def __init__(self, features_in: int, features_out: int, *, bias: bool) -> None:
        super().__init__(features_in, features_out, 1, bias=bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """(batch, time, features_in) -> (batch, time, features_out), in x's dtype."""
        bias = None if self.bias is None else self.bias.to(x_BTC.dtype)
        return functional.conv1d(x_BTC.mT, self.weight.to(x_BTC.dtype), bias).mT


class KernelOneConvolution(nn.Module):
    """`down(relu(up(x)))` written as two convolutions of kernel size 1, as GPT's and Vaswani's footnote describe it.

    The same function as `Plain` with relu; the weights have a third dimension of 1, so an optimizer of matrices leaves
    them to AdamW.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        del layer
        self.up = KernelOne(config.d_model, config.d_ff, bias=config.feedforward.bias)
        self.watch = build_watch(config.feedforward.sparsity_loss)
        self.down = KernelOne(config.d_ff, config.d_model, bias=config.feedforward.bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        del context
        y_BTD: Tensor = self.down(self.watch(functional.relu(self.up(x_BTD))))
        return y_BTD


class DepthwiseFeedForward(nn.Module):
    """`down(gelu(conv(up(x))))`: a causal depthwise convolution inside the feed-forward.

    So et al. 2021 (Primer, arXiv:2109.08668) put such convolutions after the projections of attention; inside the
    feed-forward it is ConvGLU's place (Shi 2023, arXiv:2311.17132), without its gate.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        options = config.feedforward
        self.up = Linear(config.d_model, config.d_ff, bias=options.bias)
        self.convolution = CausalConvolution(
            config.d_ff, options.width, bias=options.bias, name=f"{layer}.feedforward.convolution"
        )
        self.watch = build_watch(options.sparsity_loss)
        self.down = Linear(config.d_ff, config.d_model, bias=options.bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        y_BTD: Tensor = self.down(self.watch(functional.gelu(self.convolution(self.up(x_BTD), context))))
        return y_BTD


FEEDFORWARDS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {
    **dict.fromkeys(GATES, GatedUnit),
    **dict.fromkeys(("relu", "relu2", "gelu", "gelu_tanh", "gelu_table", "silu"), Plain),
    "conv1": KernelOneConvolution,
    "depthwise": DepthwiseFeedForward,
}
