"""Latency of a decoding step with a key/value cache beside transformers, and how fast a prompt is read.

    OMP_NUM_THREADS=1 python -m benchmarks --only decoding_speed

TissLM goes through `WindowBatch`, what `generate` uses; transformers through its forward pass in a plain loop under
`inference_mode`, with its dynamic and its static cache, and through its own `generate()` (batch 1). Both have the same
random weights, whose first logits are compared before anything is timed, and pick the likeliest token. bf16 means
weights and arithmetic in bfloat16. All contestants of a shape take turns in one process, with a prompt of 64 tokens
and 64 new ones.

`decode_faster_by_cpu` in a TissLM row is its ratio to the faster of transformers' loops of the same dtype (bf16 for
int8), in a peer's row TissLM's ratio to that peer: more than 1 is TissLM faster. `of_read_rate` is (bytes of the
weights that a token is multiplied with) x steps/s over the rate at which this machine reads memory, measured in the
same rounds; weights that stay in a cache can be above 1. int8 is timed only: what it costs in perplexity is the
quantize stage's to tell.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.machine_rates import READ_BYTES, long_read
from benchmarks.network_shapes import DTYPES, SHAPES, SMOLLM, Shape, chosen
from benchmarks.rounds import Seconds, alternate, faster_by, median
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import to_hugging_face, to_published_tensors
from model.compression.quantize import quantize_int8
from model.generation.windows import WindowBatch

PROMPT = 64
NEW = 64
BATCHES = ("1", "8")
LOOPS = ("transformers dynamic", "transformers static")
Prompts = list[list[int]]


@dataclass(frozen=True)
class Writer:
    """One way to write text.

    Attributes:
        dtype: `fp32`, `bf16` or `int8`.
        weight_bytes: Bytes of the weights that one token is multiplied with.
        start: Reads the prompts and chooses a token for each; returns the logits (batch, vocab), and a function that
            makes `n` further steps.
    """

    dtype: str
    weight_bytes: int
    start: Callable[[Prompts], tuple[torch.Tensor, Callable[[int], object]]]


def our_start(model: Decoder, prompts: Prompts) -> tuple[torch.Tensor, Callable[[int], object]]:
    """Ours."""
    batch = WindowBatch(model, prompts, pad_id=0, max_new_tokens=NEW)
    logits = batch.next_logits()
    batch.append(logits.argmax(-1).tolist())

    def go_on(n: int) -> None:
        for _ in range(n):
            batch.append(batch.next_logits().argmax(-1).tolist())

    return logits, go_on


def loop_start(model: Any, static: bool, prompts: Prompts) -> tuple[torch.Tensor, Callable[[int], object]]:
    """Transformers' forward pass in a loop."""
    from transformers import DynamicCache, StaticCache

    cache = StaticCache(model.config, max_cache_len=PROMPT + NEW) if static else DynamicCache(config=model.config)

    def step(tokens: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        return logits

    logits = step(torch.tensor(prompts))
    first = logits.argmax(-1, keepdim=True)

    def go_on(n: int) -> None:
        token = first
        for _ in range(n):
            token = step(token).argmax(-1, keepdim=True)
            token.tolist()  # a text is wanted, token by token

    return logits, go_on


def generate_start(model: Any, prompts: Prompts) -> tuple[torch.Tensor, Callable[[int], object]]:
    """Transformers' `generate()`; it reads the prompt again, so its steps hold one prefill more."""
    tokens = torch.tensor(prompts)
    seen = torch.ones_like(tokens)
    with torch.inference_mode():
        logits: torch.Tensor = model(tokens, logits_to_keep=1).logits[:, -1]

    def go_on(n: int) -> None:
        model.generate(tokens, attention_mask=seen, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0)

    return logits, go_on


def writers(shape: Shape, dtypes: list[str]) -> dict[str, Writer]:
    """All contestants of a shape, over the same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    ours = Decoder(shape.config(1024)).eval()
    initialize(ours, torch.Generator().manual_seed(0))
    published = {name: tensor.clone() for name, tensor in to_published_tensors(ours).items()}
    n_weights = sum(p.numel() for p in ours.parameters())
    found = {"tisslm int8": Writer("int8", n_weights, functools.partial(our_start, quantize_int8(ours)))}
    for dtype in dtypes:
        here = Decoder(ours.config).eval()
        here.load_state_dict(ours.state_dict())
        peer = LlamaForCausalLM(LlamaConfig(**to_hugging_face(ours.config))).eval()
        peer.load_state_dict(published, strict=False)
        peer.tie_weights()
        n_bytes = n_weights * DTYPES[dtype].itemsize
        peer, here = peer.to(DTYPES[dtype]), here.to(DTYPES[dtype])
        starts = {
            "tisslm": functools.partial(our_start, here),
            "transformers dynamic": functools.partial(loop_start, peer, False),
            "transformers static": functools.partial(loop_start, peer, True),
            "transformers generate": functools.partial(generate_start, peer),
        }
        found |= {f"{who} {dtype}": Writer(dtype, n_bytes, start) for who, start in starts.items()}
    return found


def check_same(contestants: dict[str, Writer], prompts: Prompts) -> None:
    """Refuse to time networks that do not compute the same."""
    logits = {name: writer.start(prompts)[0].float() for name, writer in contestants.items()}
    reference = next(logits[name] for name in logits if name.startswith("tisslm ") and "int8" not in name)
    for name, found in logits.items():
        error = ((found - reference).norm() / reference.norm()).item()
        if error > (1e-4 if "fp32" in name and "tisslm fp32" in logits else 0.1):
            raise SystemExit(f"{name}: its logits are off by {error:.2g}; it would be timed at other work")


def measured(label: str, shape: Shape, n_batch: int, budget_s: float, dtypes: list[str]) -> list[dict[str, Any]]:
    """A row for each contestant."""
    generator = torch.Generator().manual_seed(1)
    prompts: Prompts = torch.randint(2, shape.vocab_size, (n_batch, PROMPT), generator=generator).tolist()
    contestants = writers(shape, dtypes)
    if n_batch > 1:
        contestants = {name: writer for name, writer in contestants.items() if "generate" not in name}
    check_same(contestants, prompts)
    started: dict[str, Callable[[int], object]] = {}

    def read(name: str) -> None:
        started[name] = contestants[name].start(prompts)[1]

    jobs: dict[tuple[str, str], Callable[[], object]] = {("machine", "read"): long_read()}
    for name in contestants:
        read(name)
        started[name](2)
        jobs[name, "prefill"] = functools.partial(read, name)
        jobs[name, "decode"] = functools.partial(lambda name: started[name](NEW - 1), name)
    times = alternate(jobs, budget_s=budget_s)
    rows = []
    for name, writer in contestants.items():
        decode, prefill = times[name, "decode"], times[name, "prefill"]
        read_share = writer.weight_bytes * (NEW - 1) / READ_BYTES * faster_by(decode, times["machine", "read"])
        rows.append(
            {
                "shape": label,
                "batch": n_batch,
                "who": name,
                "ms_per_step": 1000 * median(decode, "wall") / (NEW - 1),
                "tokens_per_s": n_batch * (NEW - 1) / median(decode, "wall"),
                "tokens_per_cpu_s": n_batch * (NEW - 1) / median(decode),
                "of_read_rate": read_share,
                "prefill_tokens_per_s": round(n_batch * PROMPT / median(prefill, "wall")),
                "decode_faster_by_cpu": ratio(name, "decode", times, writer.dtype),
                "prefill_faster_by_cpu": ratio(name, "prefill", times, writer.dtype),
                "rounds": len(decode),
                "threads": torch.get_num_threads(),
            }
        )
    return rows


def ratio(name: str, part: str, times: dict[tuple[str, str], list[Seconds]], dtype: str) -> float:
    """TissLM's speed over this peer's, or in its own row over the faster loop's; int8 stands beside bf16."""
    if not name.startswith("tisslm"):
        return faster_by(times[f"tisslm {dtype}", part], times[name, part])
    measured_dtypes = [one for one in (dtype, "bf16", "fp32") if (f"{LOOPS[0]} {one}", part) in times]
    return min(faster_by(times[name, part], times[f"{loop} {measured_dtypes[0]}", part]) for loop in LOOPS)


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure every shape; `quick` only the smallest, shortly."""
    shapes = {"1M": SHAPES["1M"]} if quick else {**SHAPES, "SmolLM2": SMOLLM}
    rows = []
    for label in [*shapes] if quick else chosen("SHAPES", shapes):
        for n_batch in map(int, chosen("BATCHES", BATCHES)):
            rows += measured(label, shapes[label], n_batch, 1.0 if quick else 15.0, chosen("DTYPES", DTYPES))
            ours = [row for row in rows if row["who"].startswith("tisslm") and row["shape"] == label]
            best = ", ".join(f"{r['who']} {r['decode_faster_by_cpu']:.2f}" for r in ours if r["batch"] == n_batch)
            print(f"{label} batch {n_batch}: {best} times transformers' speed", flush=True)
    return rows
