"""Peak memory of a training step beside nanoGPT, litgpt and transformers, at two vocabularies.

    NANOGPT=nanoGPT/model.py LITGPT=litgpt python -m benchmarks --only training_memory

Each contestant trains in a process of its own (training_peers.py says how), 2048 tokens a step at context 256, and
reports
what Linux knows of it, in MB:

* `first_steps`: the peak of the first two steps above what was resident when the network had been built: gradients, the
  optimizer's state, activations and logits;
* `later_step`: the peak of the third step above what was resident before it: gradients, activations and logits;
* `process`: VmHWM, the peak of all that the process ever held, libraries and weights included.

`of_theirs` is TissLM's `first_steps` and `later_step` over the peer's, in TissLM's own row over the smallest peer's:
less than 1 is TissLM needing less.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.network_shapes import DTYPES, SHAPES, chosen
from benchmarks.training_peers import BUILDERS, taking_part

CONTEXT = 256
TOKENS = 2048
VOCABULARIES = ("2048", "32768")
Usage = dict[str, float]


def resident_mb(what: str) -> float:
    """A line of this process's status: `VmRSS` is now, `VmHWM` the peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def settle() -> float:
    """Give freed memory back, forget the peak; returns what is resident."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return resident_mb("VmRSS")


def used_by(name: str, label: str, vocab_size: int, dtype: str) -> Usage:
    """Train for three steps in this process."""
    shape = dataclasses.replace(SHAPES[label], vocab_size=vocab_size)
    contestant = BUILDERS[name](shape, CONTEXT, dtype)
    size = (TOKENS // CONTEXT, CONTEXT + 1)
    tokens = torch.randint(2, vocab_size, size, generator=torch.Generator().manual_seed(0))
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    of_process, built = resident_mb("VmHWM"), settle()
    for _ in range(2):
        contestant.step(inputs, targets)
    first = resident_mb("VmHWM")
    trained = settle()
    contestant.step(inputs, targets)
    later = resident_mb("VmHWM")
    return {"first_steps": first - built, "later_step": later - trained, "process": max(of_process, first, later)}


def in_own_process(name: str, label: str, vocab_size: int, dtype: str) -> Usage:
    """The same in a process that has done nothing else."""
    words = ["--one", name, "--shape", label, "--vocabulary", str(vocab_size), "--dtype", dtype]
    command = [sys.executable, "-m", "benchmarks.training_memory", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    usage: Usage = json.loads(done.stdout.splitlines()[-1])
    return usage


def measured(label: str, vocab_size: int, dtype: str) -> list[dict[str, Any]]:
    """A row for each contestant."""
    usage = {name: in_own_process(name, label, vocab_size, dtype) for name in taking_part(CONTEXT, dtype)}
    ours = usage["tisslm"]
    rows = []
    for name, mb in usage.items():
        beside = [mb] if name != "tisslm" else [of for other, of in usage.items() if other != name]
        shares = {part: ours[part] / min(of[part] for of in beside) for part in ours if part != "process"}
        rows.append(
            {
                "shape": label,
                "vocabulary": vocab_size,
                "dtype": dtype,
                "who": name,
                **{f"{part}_mb": round(value) for part, value in mb.items()},
                **{f"{part}_of_theirs": share for part, share in shares.items()},
            }
        )
    return rows


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure the 10 M shape; `quick` the smallest with the small vocabulary in bf16."""
    rows = []
    for label in ["1M"] if quick else chosen("SHAPES", ["10M"]):
        for vocab_size in VOCABULARIES[:1] if quick else chosen("VOCABULARIES", VOCABULARIES):
            for dtype in ["bf16"] if quick else chosen("DTYPES", DTYPES):
                rows += measured(label, int(vocab_size), dtype)
                ours = next(row for row in reversed(rows) if row["who"] == "tisslm")
                shares = f"{ours['first_steps_of_theirs']:.2f}, later {ours['later_step_of_theirs']:.2f}"
                print(f"{label} vocabulary {vocab_size} {dtype}: {shares} of the smallest peer's memory", flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_memory")
    parser.add_argument("--one", required=True, choices=BUILDERS)
    parser.add_argument("--shape", required=True, choices=SHAPES)
    parser.add_argument("--vocabulary", required=True, type=int)
    parser.add_argument("--dtype", required=True, choices=DTYPES)
    asked = parser.parse_args()
    print(json.dumps(used_by(asked.one, asked.shape, asked.vocabulary, asked.dtype)))
