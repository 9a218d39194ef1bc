"""One decoder block: a mixer and a feed-forward, each with its norms, each added to the residual stream.

The mixer is called `attention` whatever it is (mixers.py). Which block a layer gets is in `BLOCKS`, below.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.decoding_block import decoded
from model.architecture.depth import RoutedBlock
from model.architecture.experts import Experts
from model.architecture.feedforward import FEEDFORWARDS
from model.architecture.masks import AttentionContext
from model.architecture.mixers import MIXERS
from model.architecture.norm import build_norm


class Block(nn.Module):
    """Norms before the parts (Xiong et al. 2020, arXiv:2002.04745): Llama, GPT-2."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = build_norm(config)
        self.attention = MIXERS[config.mixer(layer)](config, layer)
        self.feedforward_norm = build_norm(config)
        self.feedforward = build_feedforward(config, layer)
        self.dropout = build_dropout(config)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model); one new token by one kernel where there is one for it."""
        decoded_BTD = decoded(self._modules, x_BTD, context)
        if decoded_BTD is not None:
            return decoded_BTD
        x_BTD = x_BTD + self.dropout(self.attention(self.attention_norm(x_BTD), context))
        y_BTD: Tensor = x_BTD + self.dropout(self.feedforward(self.feedforward_norm(x_BTD), context))
        return y_BTD

    def pass_by(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Tokens that left keep their keys and values here, for those after them."""
        self.attention.keep(self.attention_norm(x_BTD), context)  # type: ignore[operator]


class PostNormBlock(nn.Module):
    """Norms after the sums: the transformer of 2017 (Vaswani et al., section 3.1)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention = MIXERS[config.mixer(layer)](config, layer)
        self.attention_norm = build_norm(config)
        self.feedforward = build_feedforward(config, layer)
        self.feedforward_norm = build_norm(config)
        self.dropout = build_dropout(config)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        x_BTD = self.attention_norm(x_BTD + self.dropout(self.attention(x_BTD, context)))
        y_BTD: Tensor = self.feedforward_norm(x_BTD + self.dropout(self.feedforward(x_BTD, context)))
        return y_BTD

    def pass_by(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Tokens that left keep their keys and values here, for those after them."""
        self.attention.keep(x_BTD, context)  # type: ignore[operator]


class SandwichBlock(nn.Module):
    """Norms before the parts and on their results (Ding et al. 2021, arXiv:2105.13290, section 2.4): Gemma 2."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = build_norm(config)
        self.attention = MIXERS[config.mixer(layer)](config, layer)
        self.attention_out_norm = build_norm(config)
        self.feedforward_norm = build_norm(config)
        self.feedforward = build_feedforward(config, layer)
        self.feedforward_out_norm = build_norm(config)
        self.dropout = build_dropout(config)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        y_BTD: Tensor = self.attention(self.attention_norm(x_BTD), context)
        x_BTD = x_BTD + self.dropout(self.attention_out_norm(y_BTD))
        y_BTD = self.feedforward(self.feedforward_norm(x_BTD), context)
        sum_BTD: Tensor = x_BTD + self.dropout(self.feedforward_out_norm(y_BTD))
        return sum_BTD

    def pass_by(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Tokens that left keep their keys and values here, for those after them."""
        self.attention.keep(self.attention_norm(x_BTD), context)  # type: ignore[operator]


class MixerBlock(nn.Module):
    """A mixer alone, behind its norm: Mamba's block has no feed-forward."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = build_norm(config)
        self.attention = MIXERS[config.mixer(layer)](config, layer)
        self.dropout = build_dropout(config)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(batch, time, d_model) -> (batch, time, d_model)."""
        y_BTD: Tensor = x_BTD + self.dropout(self.attention(self.attention_norm(x_BTD), context))
        return y_BTD

    def pass_by(self, x_BTD: Tensor, context: AttentionContext) -> None:
        """Tokens that left keep their keys and values here, for those after them."""
        self.attention.keep(self.attention_norm(x_BTD), context)  # type: ignore[operator]


def build_dropout(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """Dropout of what a part adds; nothing at all where there is none, since decoding would feel the call."""
    return nn.Dropout(config.dropout) if config.dropout else kept


def kept(x: Tensor) -> Tensor:
    """Return x."""
    return x


BLOCKS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {
    "pre": Block,
    "post": PostNormBlock,
    "sandwich": SandwichBlock,
}


def build_block(config: ModelConfig, layer: int) -> nn.Module:
    """The block of a layer."""
    block = (MixerBlock if config.feedforward.kind == "none" else BLOCKS[config.norm.placement])(config, layer)
    return RoutedBlock(block, config, layer) if config.is_routed(layer) else block


def build_feedforward(config: ModelConfig, layer: int) -> nn.Module:
    """The feed-forward of a layer: one, or a mixture of experts."""
    return (Experts if config.has_experts(layer) else FEEDFORWARDS[config.feedforward.kind])(config, layer)
