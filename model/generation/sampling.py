"""From logits to a token: pure functions, each with its paper.

Filters take and return logits of shape (batch, vocab) float32; a token that is filtered out has -inf, and one
always stays. They are applied in one fixed order: temperature, top-k, top-p, top-a, min-p, typical.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.generation.config import GenerationConfig


def greedy(logits: Tensor) -> Tensor:
    """The likeliest token of each row, the first of equals: (batch, vocab) -> (batch,) int64."""
    return logits.argmax(dim=-1)


def temperature(logits: Tensor, value: float) -> Tensor:
    """Flatter above 1, sharper below: (batch, vocab) -> (batch, vocab). `value` is positive."""
    return logits / value


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` likeliest tokens and those equal to the last of them (Fan et al. 2018, arXiv:1805.04833)."""
    if k >= logits.shape[-1]:
        return logits
    smallest = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest, -torch.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach `p` (Holtzman et al. 2020, arXiv:1904.09751)."""
    return _keep_until(logits, order_by=-logits, mass=p)


def top_a(logits: Tensor, a: float) -> Tensor:
    """Drop tokens below `a` times the square of the largest probability.

    Source: BlinkDL, RWKV-LM, "the top-a sampling method" (github.com/BlinkDL/RWKV-LM).
    """
    probabilities = logits.softmax(dim=-1)
    largest = probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities < a * largest.square(), -torch.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Drop tokens below the share `p` of the largest probability (Nguyen et al. 2024, arXiv:2407.01082)."""
    probabilities = logits.softmax(dim=-1)
    largest = probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(probabilities < p * largest, -torch.inf)


def typical(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens whose surprise is nearest the entropy until their probabilities reach `p`.

    Source: Meister et al. 2022, "Locally typical sampling" (arXiv:2202.00666). One token always stays; unlike with the
    other filters it need not be the likeliest.
    """
    logprobs = logits.log_softmax(dim=-1)
    entropy = -(logprobs.exp() * logprobs).nansum(dim=-1, keepdim=True)
    return _keep_until(logits, order_by=(-logprobs - entropy).abs(), mass=p)


def _keep_until(logits: Tensor, order_by: Tensor, mass: float) -> Tensor:
    """Keep tokens in ascending order of `order_by` until their probabilities reach `mass`, one at least."""
    order = order_by.argsort(dim=-1, stable=True)
    reached = logits.softmax(dim=-1).gather(-1, order).cumsum(dim=-1)
    drop = torch.zeros_like(reached, dtype=torch.bool)
    drop[..., 1:] = reached[..., :-1] >= mass
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), -torch.inf)


def restrict(logits: Tensor, config: GenerationConfig) -> Tensor:
    """Temperature and every filter that is on: (batch, vocab) -> (batch, vocab). `config.temperature` is positive."""
    logits = temperature(logits, config.temperature)
    if config.top_k > 0:
        logits = top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = top_p(logits, config.top_p)
    if config.top_a > 0:
        logits = top_a(logits, config.top_a)
    if config.min_p > 0:
        logits = min_p(logits, config.min_p)
    if config.typical_p < 1:
        logits = typical(logits, config.typical_p)
    return logits


def draw(logits: Tensor, uniforms: Sequence[float]) -> Tensor:
    """A token of each row by inverting its cumulative distribution: one number per row, whatever the vocabulary.

    Args:
        logits: (batch, vocab) float32; tokens at -inf are never drawn.
        uniforms: `batch` numbers in [0, 1).

    Returns:
        (batch,) int64.
    """
    cumulative = logits.double().softmax(dim=-1).cumsum(dim=-1)
    total = cumulative[:, -1:]
    points = torch.tensor(uniforms, dtype=torch.float64, device=logits.device)[:, None] * total
    # a product rounded up to the total would fall behind the last token
    points = torch.minimum(points, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, points, right=True)[:, 0]


def choose(logits: Tensor, config: GenerationConfig, uniforms: Sequence[float]) -> Tensor:
    """The next token of each row.

    Args:
        logits: (batch, vocab) float32, as the model gives them.
        config: Greedy at temperature 0, else every filter that is on.
        uniforms: `batch` numbers in [0, 1), each from its request's own generator.

    Returns:
        (batch,) int64.
    """
    return greedy(logits) if config.temperature == 0 else draw(restrict(logits, config), uniforms)
