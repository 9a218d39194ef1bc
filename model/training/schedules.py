"""Schedules of the learning rate and of the sequence length: pure functions of the step."""

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


def context_length(config: PretrainConfig, step: int) -> int:
    """The length of the sequences of step `step` (0 is the first), tokens.

    Sequences that grow while the tokens of a step stay (Li et al. 2022, "The Stability-Efficiency Dilemma",
    arXiv:2108.06084, shorten sequences; here the same tokens are cut into more of them, so nothing is left out).
    """
    for stage in config.data.stages:
        if step < stage.until * config.steps:
            return stage.context_length
    return config.model.context_length
