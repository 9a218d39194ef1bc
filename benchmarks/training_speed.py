"""Training tokens/s beside nanoGPT and transformers: same shape, data, dtype, threads, batch; in turn, in one process.

Every contestant makes whole optimizer steps (forward, backward, clip, fused AdamW) in bfloat16 on the same batches.
nanoGPT takes part when `NANOGPT` names a checkout's `model.py`; its shape has the same width, depth, heads, vocabulary
and within 1 % the same parameters (its feed-forward is 4 d wide with two matrices, ours 8/3 d with three).
Rounds alternate, so that a machine that drifts drifts for all; the ratio is the median over the rounds' own ratios.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import to_hugging_face
from model.training.config import PretrainConfig
from model.training.optimizers import build_optimizers
from model.training.step import train_step

SHAPES = {
    "1M": ({"n_layers": 4, "d_model": 128, "n_heads": 4, "d_ff": 344}, 1024, 16),
    "10M": ({"n_layers": 6, "d_model": 384, "n_heads": 6, "d_ff": 1024}, 2048, 8),
    "30M": ({"n_layers": 8, "d_model": 512, "n_heads": 8, "d_ff": 1368}, 8192, 4),
}
CONTEXT = 256
Step = Callable[[torch.Tensor, torch.Tensor], None]


def our_step(shape: dict[str, int], vocab_size: int) -> Step:
    """TissLM's own step, AdamW as for the others."""
    config = ModelConfig(vocab_size=vocab_size, context_length=CONTEXT, n_kv_heads=shape["n_heads"], **shape)
    network = Decoder(config).train()
    initialize(network, torch.Generator().manual_seed(0))
    network.compute_dtype = torch.bfloat16
    optimizers = build_optimizers(network, PretrainConfig(optimizer="adamw"))

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> None:
        train_step(network, optimizers, inputs, targets, step=0, learning_rate=1e-3, clip_norm=1.0)

    return step


def peer_step(network: torch.nn.Module, loss_of: Callable[[Any, Any], torch.Tensor]) -> Step:
    """A peer's network in the loop that nanoGPT uses: autocast, clip, fused AdamW."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return step


def transformers_step(shape: dict[str, int], vocab_size: int) -> Step:
    """The same Llama by transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = ModelConfig(vocab_size=vocab_size, context_length=CONTEXT, n_kv_heads=shape["n_heads"], **shape)
    network = LlamaForCausalLM(LlamaConfig(**to_hugging_face(config))).train()

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = network(inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return peer_step(network, loss_of)


def nanogpt_step(path: Path, shape: dict[str, int], vocab_size: int) -> Step:
    """NanoGPT's own file."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = module
    spec.loader.exec_module(module)
    config = module.GPTConfig(
        block_size=CONTEXT, vocab_size=vocab_size, n_layer=shape["n_layers"], n_head=shape["n_heads"],
        n_embd=shape["d_model"], dropout=0.0, bias=False,
    )  # fmt: skip
    network = module.GPT(config).train()
    return peer_step(network, lambda inputs, targets: network(inputs, targets)[1])


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure all shapes; `quick` only the smallest."""
    rows = []
    rounds = 3 if quick else 5
    nanogpt = os.environ.get("NANOGPT")
    for label, (shape, vocab_size, batch) in SHAPES.items():
        if quick and label != "1M":
            continue
        steps: dict[str, Step] = {"tisslm": our_step(shape, vocab_size)}
        steps["transformers"] = transformers_step(shape, vocab_size)
        if nanogpt:
            steps["nanogpt"] = nanogpt_step(Path(nanogpt), shape, vocab_size)
        tokens = torch.randint(2, vocab_size, (batch, CONTEXT + 1), generator=torch.Generator().manual_seed(0))
        inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        repeats = {"1M": 8, "10M": 3, "30M": 2}[label]
        for turn in range(rounds + 1):
            for name, step in steps.items():
                started = time.perf_counter()
                for _ in range(repeats):
                    step(inputs, targets)
                if turn:  # the first round warms up
                    seconds[name].append((time.perf_counter() - started) / repeats)
        for peer in steps:
            ratios = [theirs / ours for theirs, ours in zip(seconds[peer], seconds["tisslm"], strict=True)]
            rows.append(
                {
                    "shape": label,
                    "batch": f"{batch}x{CONTEXT}",
                    "threads": torch.get_num_threads(),
                    "who": peer,
                    "tokens_per_second": round(batch * CONTEXT / statistics.median(seconds[peer])),
                    "tisslm_is_faster_by": statistics.median(ratios),
                }
            )
    return rows
