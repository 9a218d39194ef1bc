"""Rotary frequencies for a longer context than was trained; `options.py` names the papers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model.architecture.config.options import LinearScaling, Llama3Scaling, NtkScaling, Scaling, YarnScaling


def stretched(frequencies: Tensor, theta: float, scaling: Scaling) -> Tensor:
    """The frequencies after scaling.

    Args:
        frequencies: (head_size / 2,) float32, radians per token, falling.
        theta: Base that they came from.
        scaling: Which way, and how far.
    """
    return STRETCHES[scaling.kind](frequencies, theta, scaling)


def attention_factor(scaling: Scaling) -> float:
    """What cosines and sines are multiplied by, so that scores grow with its square (YaRN, eq. 15 and 22)."""
    return 0.1 * math.log(scaling.factor) + 1.0 if scaling.kind == "yarn" else 1.0


def _none(frequencies: Tensor, theta: float, scaling: object) -> Tensor:
    del theta, scaling
    return frequencies


def _linear(frequencies: Tensor, theta: float, scaling: LinearScaling) -> Tensor:
    del theta
    return frequencies / scaling.factor


def _ntk(frequencies: Tensor, theta: float, scaling: NtkScaling) -> Tensor:
    """The slowest frequency stretches by the factor, the fastest stays: theta grows by factor^(size / (size - 2))."""
    size = 2 * frequencies.shape[0]
    larger = theta * scaling.factor ** (size / max(1, size - 2))
    exponents = torch.arange(0, size, 2, dtype=torch.float32, device=frequencies.device) / size
    slower: Tensor = 1.0 / larger**exponents
    return slower


def _yarn(frequencies: Tensor, theta: float, scaling: YarnScaling) -> Tensor:
    """Dimensions that turn often in the original context stay, slow ones stretch, a ramp between (section 3.2)."""
    size = 2 * frequencies.shape[0]

    def dimension(turns: float) -> float:
        return size * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(dimension(scaling.beta_fast)), 0)
    high = min(math.ceil(dimension(scaling.beta_slow)), size - 1)
    index = torch.arange(size // 2, dtype=torch.float32, device=frequencies.device)
    ramp = ((index - low) / (high - low if high > low else 0.001)).clamp(0, 1)
    return frequencies / scaling.factor * ramp + frequencies * (1 - ramp)


def _llama3(frequencies: Tensor, theta: float, scaling: Llama3Scaling) -> Tensor:
    """Waves longer than context / low stretch, shorter than context / high stay, linear in their frequency between."""
    del theta
    waves = 2 * math.pi / frequencies
    low, high, context = scaling.low_freq_factor, scaling.high_freq_factor, scaling.original_context
    kept = ((context / waves - low) / (high - low)).clamp(0, 1)
    return (1 - kept) * frequencies / scaling.factor + kept * frequencies


STRETCHES: dict[str, Callable[[Tensor, float, Any], Tensor]] = {
    "none": _none, "linear": _linear, "ntk": _ntk, "yarn": _yarn, "llama3": _llama3,
}  # fmt: skip
