"""The networks that are measured, and which of them an environment asks for.

`TISSLM_BENCH_SHAPES=1M,10M`, `TISSLM_BENCH_CONTEXTS=256` and `TISSLM_BENCH_DTYPES=bf16` narrow a benchmark down.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from model.architecture.config import ModelConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Shape:
    """A Llama with tied embeddings.

    Attributes:
        n_layers: Blocks.
        d_model: Width.
        n_heads: Query heads.
        n_kv_heads: Key/value heads.
        d_ff: Width of the feed-forward.
        vocab_size: Tokens known.
        batch_tokens: Tokens in a training step, whatever the context.
    """

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_ff: int
    vocab_size: int
    batch_tokens: int

    def config(self, context: int) -> ModelConfig:
        """Ours."""
        return ModelConfig(
            n_layers=self.n_layers,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            d_ff=self.d_ff,
            vocab_size=self.vocab_size,
            context_length=context,
        )


SHAPES = {
    "1M": Shape(4, 128, 4, 4, 344, 1024, 2048),
    "10M": Shape(6, 384, 6, 6, 1024, 2048, 2048),
    "30M": Shape(8, 512, 8, 8, 1368, 8192, 1024),
}
SMOLLM = Shape(30, 576, 9, 3, 1536, 49152, 1024)
"""SmolLM2-135M's."""


def chosen(what: str, known: Iterable[str]) -> list[str]:
    """Those of the known names that `TISSLM_BENCH_<what>` lists, all where it is not set."""
    names = list(known)
    wanted = os.environ.get(f"TISSLM_BENCH_{what}")
    if not wanted:
        return names
    unknown = set(wanted.split(",")) - set(names)
    if unknown:
        raise SystemExit(f"TISSLM_BENCH_{what}: got {wanted}, expected some of {','.join(names)}")
    return [name for name in names if name in wanted.split(",")]
