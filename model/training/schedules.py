"""Learning-rate schedules: pure functions of the step."""

from __future__ import annotations

import math

from model.training.config import PretrainConfig


def learning_rate(config: PretrainConfig, step: int) -> float:
    """The learning rate of step `step` (0 is the first).

    Linear warmup, then cosine (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, one cycle), linear, or none.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    shape = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}[config.schedule]
    floor = config.final_learning_rate_fraction
    return config.learning_rate * (floor + (1 - floor) * shape)
