"""Norms: RMSNorm, LayerNorm with and without bias, and RMSNorm of queries and keys."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.kernels.library import takes
from model.kernels.norm import rms_norm as by_kernel


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale the last dimension to unit root mean square, then by the weight; same shape and dtype out."""
    if takes(x):
        return by_kernel(x, weight, eps)
    return functional.rms_norm(x, x.shape[-1:], weight.to(x.dtype), eps)


class RMSNorm(nn.Module):
    """Scale to unit root mean square, then by a learned weight (Zhang & Sennrich 2019, arXiv:1910.07467).

    The scale is computed in float32 whatever the input's type, as `LlamaRMSNorm` does.
    """

    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Normalize the last dimension: (batch, time, features), same shape and dtype out."""
        return rms_norm(x_BTD, self.weight, self.eps)


class LayerNorm(nn.Module):
    """Zero mean and unit variance, then a learned weight and bias (Ba et al. 2016, arXiv:1607.06450).

    Without bias it is the norm of PaLM and of nanoGPT. The statistics are taken in float32.
    """

    def __init__(self, features: int, eps: float, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features)) if bias else None
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Normalize the last dimension: (batch, time, features), same shape and dtype out."""
        bias = None if self.bias is None else self.bias.to(x_BTD.dtype)
        return functional.layer_norm(x_BTD, self.weight.shape, self.weight.to(x_BTD.dtype), bias, self.eps)


NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "rms": RMSNorm,
    "layer": LayerNorm,
    "layer_no_bias": lambda features, eps: LayerNorm(features, eps, bias=False),
}


def build_norm(config: ModelConfig) -> nn.Module:
    """A norm of the residual stream."""
    return NORMS[config.norm.kind](config.d_model, config.norm_eps)


class QueryKeyNorm(nn.Module):
    """RMSNorm of each head's query and key, before the rotation (Henry et al. 2020, arXiv:2010.04245; as in Qwen 3).

    Unlike in the paper, RMSNorm with learned weights in place of L2 and one learned temperature.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.query = RMSNorm(config.head_size, config.norm_eps)
        self.key = RMSNorm(config.head_size, config.norm_eps)

    def forward(self, qk: Tensor) -> Tensor:
        """Queries, then keys: (batch, heads + kv_heads, time, head_size), same shape out."""
        return torch.cat([self.query(qk[:, : self.n_heads]), self.key(qk[:, self.n_heads :])], dim=1)


class QueryNorm(nn.Module):
    """The same where a layer has queries only, and another layer's keys."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.query = RMSNorm(config.head_size, config.norm_eps)

    def forward(self, q: Tensor) -> Tensor:
        """(batch, heads, time, head_size), same shape out."""
        normed: Tensor = self.query(q)
        return normed


class NoNorm(nn.Module):
    """The input as it is."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        del config

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x


QK_NORMS: dict[str, Callable[[ModelConfig], nn.Module]] = {"none": NoNorm, "rms": QueryKeyNorm}
QUERY_NORMS: dict[str, Callable[[ModelConfig], nn.Module]] = {"none": NoNorm, "rms": QueryNorm}
