"""What document borders cost in a training step, and what best-fit packing saves in cuts and costs in padding.

A step with blocked borders stands beside the same step without (same network, tokens and dtype, in turn in one process,
CPU seconds). Packing stands beside windows cut where they fall, on a million documents of log-normal lengths like those
of web pages: documents cut, room filled, and how many documents are packed in a CPU second.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.dataset.packing import cut_documents, pack
from model.training.config import PretrainConfig
from model.training.optimizers import build_optimizers
from model.training.step import resolved_dtype, train_step

VOCABULARY = 2048
SEQUENCES = 8
MEAN_DOCUMENT = 60


def border_rows(rounds: int) -> list[dict[str, Any]]:
    """CPU seconds of a step of the default network, without and with documents kept apart."""
    shape = ModelConfig(vocab_size=VOCABULARY)
    network = Decoder(shape).train()
    initialize(network, torch.Generator().manual_seed(0))
    network.compute_dtype = resolved_dtype("auto", "cpu")
    optimizers = build_optimizers(network, PretrainConfig())
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (SEQUENCES, shape.context_length + 1), generator=generator)
    begins = torch.rand(SEQUENCES, shape.context_length, generator=generator) < 1 / MEAN_DOCUMENT
    documents = begins.long().cumsum(dim=1)

    def step(documents_BT: torch.Tensor | None) -> float:
        started = time.process_time()
        train_step(
            network, optimizers, tokens[:, :-1], tokens[:, 1:],
            step=0, learning_rate=1e-4, clip_norm=1.0, documents_BT=documents_BT,
        )  # fmt: skip
        return time.process_time() - started

    for warm in (None, documents):
        step(warm)
    pairs = [(step(documents), step(None)) for _ in range(rounds)]
    blocked, plain = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / p for b, p in pairs)
    what = f"step with blocked borders, context {shape.context_length}, {network.compute_dtype}"
    return [
        {"what": what, "cpu_seconds": blocked, "peer": "ignored borders", "peer_cpu_seconds": plain, "ratio": ratio}
    ]


def packing_rows(n_documents: int) -> list[dict[str, Any]]:
    """Documents cut by best-fit windows beside those cut by windows that fall anywhere."""
    lengths = np.random.default_rng(0).lognormal(5.5, 1.2, n_documents).astype(np.int64) + 1
    starts = np.concatenate(([0], np.cumsum(lengths)))
    rows = []
    for context in (1024, 2048, 8192):
        pack(starts[:100], context, np.random.default_rng(0), shuffled=True)  # compiled before the clock runs
        started = time.process_time()
        packed = pack(starts, context, np.random.default_rng(0), shuffled=True)
        seconds = time.process_time() - started
        counts = cut_documents(starts, context)
        rows.append(
            {
                "what": f"documents cut by best-fit windows of {context}",
                "documents_cut": counts["cut_when_packed"],
                "peer": "windows where they fall",
                "peer_documents_cut": counts["cut_when_joined"],
                "ratio": counts["cut_when_packed"] / counts["cut_when_joined"],
                "room_filled": packed.utilisation,
                "documents_per_cpu_second": n_documents / seconds,
            }
        )
    return rows


def main(quick: bool = False) -> list[dict[str, Any]]:
    """Both tables."""
    return [*border_rows(3 if quick else 11), *packing_rows(100_000 if quick else 1_000_000)]
