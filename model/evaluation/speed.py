"""How fast a model reads a prompt and how fast it writes, one sequence at a time.

Only ratios between models that are measured here alternately, in one process, mean something on a busy machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from model.architecture.decoder import Decoder
from model.generation.cache import StaticCache


@dataclass(frozen=True)
class Speed:
    """Medians over several rounds, batch 1.

    Attributes:
        prefill_tokens_per_second: Prompt tokens read in one forward pass.
        decode_tokens_per_second: Tokens written one by one with a key/value cache, sampling left out.
    """

    prefill_tokens_per_second: float
    decode_tokens_per_second: float


def measure_speed(
    models: Mapping[str, Decoder],
    *,
    decode_tokens: int,
    prompt_tokens: int | None = None,
    rounds: int = 5,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Speed]:
    """Time models in turn, round after round, so that a slow moment of the machine meets all of them.

    Args:
        models: By name; each in `eval` mode.
        decode_tokens: Tokens written per round, as far as the model's context has room.
        prompt_tokens: Length of the prompt; None: half of each model's context, at most 256.
        rounds: Rounds that count; one more warms up.
        on_progress: Called with (timings made, timings in all).
    """
    timings: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    total = (rounds + 1) * len(models)
    for round_number in range(rounds + 1):
        for position, (name, model) in enumerate(models.items()):
            context = model.config.context_length  # learned positions have no vector beyond it
            length = prompt_tokens or max(1, min(256, context // 2))
            written = max(1, min(decode_tokens, context - length))
            seconds = _time_once(model, length, written)
            if round_number:
                timings[name].append((length / seconds[0], written / seconds[1]))
            if on_progress is not None:
                on_progress(round_number * len(models) + position + 1, total)
    return {
        name: Speed(statistics.median(p for p, _ in values), statistics.median(d for _, d in values))
        for name, values in timings.items()
    }


def _time_once(model: Decoder, prompt_tokens: int, decode_tokens: int) -> tuple[float, float]:
    """Seconds for the prompt and for the tokens after it."""
    device = next(model.parameters()).device
    tokens = torch.arange(prompt_tokens, device=device)[None] % (model.config.vocab_size or 1)
    cache = StaticCache(len(model.config.cached_layers), prompt_tokens + decode_tokens)
    with torch.inference_mode():
        started = _now(device)
        token = model(tokens, cache=cache)[:, -1:].argmax(-1)
        prompt_read = _now(device)
        for _ in range(decode_tokens):
            token = model(token, cache=cache)[:, -1:].argmax(-1)
        return prompt_read - started, _now(device) - prompt_read


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
