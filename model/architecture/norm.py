"""Norms: RMSNorm, LayerNorm with and without bias, and RMSNorm of queries and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.architecture.config import ModelConfig
from model.kernels.launch import NUMBERS, bits, takes, without_gradients
from model.kernels.norm_kernels import rms_backward, rms_forward


class _RMSNormFunction(torch.autograd.Function):
    """Forward and backward in a handful of passes over memory; autograd's own chain takes three times as many."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square_().div_(x.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()
        normed = (x * scale).to(x.dtype)
        ctx.save_for_backward(normed, weight, scale)
        scaled: Tensor = normed * weight.to(x.dtype)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, weight, scale = ctx.saved_tensors
        (gradient,) = gradients
        product = gradient * normed
        weight_gradient = product.flatten(0, -2).sum(0, dtype=scale.dtype)
        dot = torch.matmul(product, weight.to(product.dtype)).unsqueeze(-1).to(scale.dtype) / normed.shape[-1]
        input_gradient = gradient * weight.to(gradient.dtype)
        input_gradient = input_gradient.addcmul_(normed, dot.to(normed.dtype), value=-1).mul_(scale.to(normed.dtype))
        return input_gradient, weight_gradient.to(weight.dtype), None


class _KernelRMSNorm(torch.autograd.Function):
    """The same by kernels: one pass each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        x, weight = x.contiguous(), weight.float()
        y, scale = _normed(x, weight, eps)
        ctx.save_for_backward(x, weight, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        gradient, x_gradient = gradients[0].contiguous(), torch.empty_like(x)
        features = x.shape[-1]
        # each thread sums its own rows
        parts = torch.zeros(torch.get_num_threads(), features)
        rms_backward.launch(
            len(scale), x.numel(), NUMBERS[x.dtype], features, x, weight, scale, gradient, x_gradient, parts
        )
        return x_gradient, parts.sum(0), None


def _normed(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The result, and what each row was multiplied by: (rows,) float32."""
    features = x.shape[-1]
    rows = x.numel() // features
    y, scale = torch.empty_like(x), torch.empty(rows)
    rms_forward.launch(rows, x.numel(), NUMBERS[x.dtype], features, bits(eps), x, weight, y, scale)
    return y, scale


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale the last dimension to unit root mean square, then by the weight; same shape and dtype out."""
    if without_gradients(x):
        return _normed(x.contiguous(), weight.float(), eps)[0]
    way = _KernelRMSNorm if takes(x) else _RMSNormFunction
    y: Tensor = way.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return y


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
