"""Training tokens/s beside nanoGPT, litgpt and transformers: forward alone, and whole optimizer steps.

    OMP_NUM_THREADS=1 NANOGPT=nanoGPT/model.py LITGPT=litgpt python -m benchmarks --only training_speed

All contestants of a shape, context and dtype take turns in one process on the same batches (training_peers.py says
what they do, network_shapes.py how to choose among shapes, contexts and dtypes). TissLM's row holds its ratio to the
best peer of that row's column, a peer's row TissLM's ratio to that peer: more than 1 is TissLM faster. Ratios are
medians over rounds.

`of_matmul_rate` is the share of the rate of a 2048 x 2048 product of the same dtype, measured in the same rounds. Of a
training step it counts, per token, 6 x (weights in matrices, the head included) + 6 x layers x width x context: causal
attention's 12 x layers x width x context halved, because half of the scores are masked; whatever else is computed is
not counted, so recomputing does not flatter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.machine_rates import PRODUCT_FLOPS, square_product
from benchmarks.network_shapes import DTYPES, SHAPES, Shape, chosen
from benchmarks.rounds import Clock, Seconds, alternate, faster_by, median
from benchmarks.training_peers import BUILDERS, Contestant, taking_part

CONTEXTS = ("256", "1024")
BUDGET_S = 12.0
Times = dict[tuple[str, str], list[Seconds]]


def batch(shape: Shape, context: int, n_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets, (batch, context) int64."""
    size = (max(1, n_tokens // context), context + 1)
    tokens = torch.randint(2, shape.vocab_size, size, generator=torch.Generator().manual_seed(0))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def step_flops(shape: Shape, context: int, contestant: Contestant, n_tokens: int) -> int:
    """Operations that a training step cannot do without."""
    return n_tokens * 6 * (contestant.matrix_params() + shape.n_layers * shape.d_model * context)


def measured(label: str, context: int, dtype: str, *, n_tokens: int, budget_s: float) -> list[dict[str, Any]]:
    """A row for each contestant."""
    shape = SHAPES[label]
    inputs, targets = batch(shape, context, n_tokens)
    contestants = {name: BUILDERS[name](shape, context, dtype) for name in taking_part(context, dtype)}
    jobs: dict[tuple[str, str], Callable[[], object]] = {("machine", "product"): square_product(DTYPES[dtype])}
    for name, contestant in contestants.items():
        contestant.step(inputs[:1], targets[:1])  # the optimizer's state and the kernels' are made here
        jobs[name, "forward"] = functools.partial(contestant.forward, inputs, targets)
        jobs[name, "step"] = functools.partial(contestant.step, inputs, targets)
    times = alternate(jobs, budget_s=budget_s)
    rows = []
    for name, contestant in contestants.items():
        step = times[name, "step"]
        flops = step_flops(shape, context, contestant, inputs.numel())
        rows.append(
            {
                "shape": label,
                "batch": f"{len(inputs)}x{context}",
                "dtype": dtype,
                "who": name,
                "forward_tokens_per_s": round(inputs.numel() / median(times[name, "forward"], "wall")),
                "step_tokens_per_s": round(inputs.numel() / median(step, "wall")),
                "step_tokens_per_cpu_s": round(inputs.numel() / median(step)),
                "of_matmul_rate": flops / PRODUCT_FLOPS * faster_by(step, times["machine", "product"]),
                **ratios(name, times),
                "rounds": len(step),
                "threads": torch.get_num_threads(),
            }
        )
    return rows


def ratios(name: str, times: Times) -> dict[str, float]:
    """TissLM's speed over that of this peer, or in its own row over that of the best peer."""
    found = {}
    columns: list[tuple[str, Clock]] = [("forward", "cpu"), ("step", "cpu"), ("step", "wall")]
    for part, clock in columns:
        by_peer = {
            who: faster_by(times["tisslm", part], theirs, clock)
            for (who, what), theirs in times.items()
            if what == part and who != "tisslm"
        }
        found[f"{part}_faster_by_{clock}"] = by_peer.get(name, min(by_peer.values()))
    return found


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure every point of the grid; `quick` only the smallest shape, shortly."""
    rows = []
    for label in ["1M"] if quick else chosen("SHAPES", SHAPES):
        for context in chosen("CONTEXTS", CONTEXTS):
            for dtype in chosen("DTYPES", DTYPES):
                n_tokens, budget_s = (int(context), 1.0) if quick else (SHAPES[label].batch_tokens, BUDGET_S)
                rows += measured(label, int(context), dtype, n_tokens=n_tokens, budget_s=budget_s)
                ours = next(row for row in reversed(rows) if row["who"] == "tisslm")
                best = f"forward {ours['forward_faster_by_cpu']:.2f}, step {ours['step_faster_by_cpu']:.2f}"
                print(f"{label} {context} {dtype}: {best} times the best peer's speed", flush=True)
    return rows
