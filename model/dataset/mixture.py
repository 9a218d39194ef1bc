"""How often each group of documents is drawn: the weights of a mixture, and the draws that keep to them.

Draws follow stride scheduling (Waldspurger & Weihl 1995, "Stride Scheduling: Deterministic Proportional-Share Resource
Management"): the k-th draw of a group with share p is due at time (k + u) / p, and the next draw is the one due first.
So every group stays within about one draw of its share at every moment of the run, where independent draws stray by
the square root of their number. The phases u are seeded and uniform, so that a rare group begins anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from model.dataset.config import (
    OTHERS,
    Mixture,
    TemperatureMixture,
    UnimaxMixture,
    WeightsMixture,
)
from model.errors import ConfigError
from model.randomness import numpy_generator

Shares = dict[str, float]


def mixture_shares(mixture: Mixture, tokens: Mapping[str, int], budget: int) -> Shares:
    """The share of the draws that each group gets; they sum to 1.

    Args:
        mixture: The strategy.
        tokens: Tokens of each group by its name.
        budget: Tokens that the whole run will see (UniMax).

    Raises:
        ConfigError: A weight names a group that is not there, or a group has no weight.
    """
    sizes = {name: float(count) for name, count in tokens.items()}
    match mixture:
        case WeightsMixture():
            amounts = _weights(mixture, sizes)
        case TemperatureMixture():
            total = sum(sizes.values())
            amounts = {name: (size / total) ** (1 / mixture.temperature) for name, size in sizes.items()}
        case UnimaxMixture():
            amounts = unimax_budgets(sizes, float(budget), mixture.max_epochs)
        case _:
            amounts = sizes
    total = sum(amounts.values())
    # twelve digits: the last bits of a power differ between machines, and a draw must not
    return {name: round(amount / total, 12) for name, amount in amounts.items()}


def unimax_budgets(sizes: Mapping[str, float], budget: float, max_epochs: float) -> dict[str, float]:
    """UniMax, algorithm 1 of Chung et al. 2023 (arXiv:2304.09151): what of a budget each language gets.

    From the smallest language to the largest, each gets an even part of what is left, but at most `max_epochs` times
    its own size. Where the budget is more than `max_epochs` times everything, all are capped and stay proportional.

    Args:
        sizes: Tokens (the paper: characters) of each language.
        budget: To spend in all, in the same unit.
        max_epochs: N of the paper.
    """
    left = budget
    given: dict[str, float] = {}
    for index, (name, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        even = left / (len(sizes) - index)
        given[name] = min(even, max_epochs * size)
        left -= given[name]
    return {name: given[name] for name in sizes}


def epochs_beyond_cap(mixture: Mixture, tokens: int, budget: int) -> float | None:
    """How often UniMax has to repeat every text because the run is longer than its cap allows; None where it is not.

    Args:
        mixture: The strategy.
        tokens: Tokens of the whole split.
        budget: Tokens that the whole run will see.
    """
    if not isinstance(mixture, UnimaxMixture) or budget <= mixture.max_epochs * tokens:
        return None
    return budget / tokens


def _weights(mixture: WeightsMixture, sizes: Mapping[str, float]) -> dict[str, float]:
    there = ", ".join(list(sizes)[:20]) + (f" and {len(sizes) - 20} more" if len(sizes) > 20 else "")
    where = "pretrain.data.mixture.weights"
    for name in mixture.weights:
        if name not in sizes and name != OTHERS:
            raise ConfigError(f"{where}: {name!r}: no such {mixture.by} in the tokens, expected of: {there}")
    without = [name for name in sizes if name not in mixture.weights]
    if without and OTHERS not in mixture.weights:
        raise ConfigError(
            f"{where}: no weight for {', '.join(without[:20])}; add each (0 leaves it out) or '*' for all others"
        )
    amounts = {name: mixture.weights.get(name, mixture.weights.get(OTHERS, 0.0)) for name in sizes}
    if not sum(amounts.values()):
        raise ConfigError(f"{where}: every {mixture.by} of the tokens has weight 0, expected one above: {there}")
    return amounts


class Draws:
    """Which group the next window comes from.

    Args:
        shares: Of each group; those with 0 are never drawn.
        seed: Of the phases.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        phases = numpy_generator(seed, "mixture").random(len(shares))
        self.drawn: npt.NDArray[np.int64] = np.zeros(len(shares), np.int64)
        given = np.asarray(shares, np.float64)
        self._strides = np.divide(1.0, given, out=np.full(len(given), np.inf), where=given > 0)
        self._phases = np.where(given > 0, phases, 1.0)

    def next(self) -> int:
        """The number of the group, and count it."""
        chosen = int(np.argmin((self.drawn + self._phases) * self._strides))
        self.drawn[chosen] += 1
        return chosen
