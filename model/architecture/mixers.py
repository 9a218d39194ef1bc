"""What mixes tokens in a layer, by the names in `patterns.MIXERS`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from model.architecture.attention import Attention
from model.architecture.attention_free import AttentionFree
from model.architecture.config import ModelConfig
from model.architecture.convolution import ConvolutionMixer
from model.architecture.mamba import Mamba

MIXERS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {
    "attention": Attention,
    "attention_free": AttentionFree,
    "convolution": ConvolutionMixer,
    "mamba": Mamba,
}
