"""The weights before the first step, by the names in `INITIALIZATIONS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig

INTO_RESIDUAL = (
    "attention.out.weight",
    "feedforward.down.weight",
    "feedforward.down",
    "feedforward.shared.down.weight",
)
"""Ends of the names of projections that write into the residual stream."""
TABLES = ("embedding.weight", "head.weight", "added_positions.weight")
"""Names that have a vocabulary or positions as one side: rows of them are looked up, not multiplied."""


@runtime_checkable
class InitializesItself(Protocol):
    """A part whose weights mean something of their own, such as Mamba's rates."""

    def initialize_own(self, generator: torch.Generator) -> None:
        """Fill them; called after all others are filled."""
        ...


Std = Callable[[ModelConfig, str, Tensor, float], float]
"""(config, name, parameter, std) -> the standard deviation of a weight's normal distribution."""


def _normal(config: ModelConfig, name: str, parameter: Tensor, std: float) -> float:
    """The same for all (BERT, OPT)."""
    del config, name, parameter
    return std


def _gpt2(config: ModelConfig, name: str, parameter: Tensor, std: float) -> float:
    """Projections into the residual stream smaller by sqrt(2 layers) (Radford et al. 2019, section 2.3)."""
    del parameter
    return std / (2 * config.n_layers) ** 0.5 if name.endswith(INTO_RESIDUAL) else std


def _kaiming(config: ModelConfig, name: str, parameter: Tensor, std: float) -> float:
    """sqrt(2 / fan-in) (He et al. 2015, arXiv:1502.01852, eq. 10); tables as `normal`."""
    del config
    return std if name in TABLES else math.sqrt(2 / _fans(parameter)[1])


def _xavier(config: ModelConfig, name: str, parameter: Tensor, std: float) -> float:
    """sqrt(2 / (fan-in + fan-out)) (Glorot & Bengio 2010, eq. 12, as a normal distribution); tables as `normal`."""
    del config
    return std if name in TABLES else math.sqrt(2 / sum(_fans(parameter)))


def _mup(config: ModelConfig, name: str, parameter: Tensor, std: float) -> float:
    """GPT-2's at the base width; inside weights shrink by sqrt(width) (Yang et al. 2022, arXiv:2203.03466, table 8)."""
    at_base = _gpt2(config, name, parameter, std)
    return at_base if name in TABLES else at_base * (config.initialization.base.d_model / config.d_model) ** 0.5


INITIALIZATIONS: dict[str, Std] = {
    "gpt2": _gpt2, "normal": _normal, "kaiming": _kaiming, "xavier": _xavier, "mup": _mup,
}  # fmt: skip


def _fans(parameter: Tensor) -> tuple[int, int]:
    """Outputs and inputs of a weight, (out, in) or (experts, out, in) or (out, in, 1) or (channels, width)."""
    sizes = [size for size in parameter.shape if size > 1] or [1]
    return (sizes[-2], sizes[-1]) if len(sizes) > 1 else (sizes[0], sizes[0])


def initialize(model: nn.Module, generator: torch.Generator, std: float | None = None) -> None:
    """Fill a decoder's weights, deterministic in `generator`: norms with ones, biases with zeros, the rest at random.

    Args:
        model: A `Decoder` of any dtype, on the generator's device.
        generator: Seeded.
        std: In place of the configuration's.
    """
    config: ModelConfig = model.config  # type: ignore[assignment]
    options = config.initialization
    std_of = INITIALIZATIONS[options.kind]
    std = options.std if std is None else std
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            parameter.normal_(0.0, std_of(config, name, parameter, std), generator=generator)
        for module in model.modules():
            if isinstance(module, InitializesItself):
                module.initialize_own(generator)


def learning_rate_factors(model: nn.Module) -> dict[str, float]:
    """What muP multiplies the learning rate of each parameter by, for Adam: 1 but for inside matrices (table 8)."""
    config: ModelConfig = model.config  # type: ignore[assignment]
    options = config.initialization
    narrowing = options.base.d_model / config.d_model if options.kind == "mup" else 1.0
    return {
        name: 1.0 if parameter.dim() == 1 or name in TABLES else narrowing
        for name, parameter in model.named_parameters()
    }
