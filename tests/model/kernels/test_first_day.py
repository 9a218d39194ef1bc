"""Kernels compiled in this process and kernels read from the cache compute the same bits.

A run that is killed on its first day on a machine began with the former and goes on with the latter. Many numbers are
needed: rounding to bfloat16 hides all but one difference in some 400,000.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CODE = """
import hashlib
import torch
from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.training.objectives import training_loss

torch.set_num_threads(1)
for compute in (torch.float32, torch.bfloat16):
    generator = torch.Generator().manual_seed(0)
    shape = ModelConfig(vocab_size=303, n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, d_ff=64, context_length=128)
    network = Decoder(shape).train()
    for parameter in network.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    network.compute_dtype = compute
    tokens = torch.randint(303, (256, 129), generator=generator)
    loss = training_loss(network, tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    digest = hashlib.sha256(loss.detach().numpy().tobytes())
    for parameter in network.parameters():
        digest.update(parameter.grad.contiguous().numpy().tobytes())
    print(compute, digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.feature("TRAIN-08")
def test_kernels_from_the_cache_compute_what_they_did_when_they_were_compiled(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    compiled, cached = (run_python(CODE, NUMBA_CACHE_DIR=str(tmp_path), OMP_NUM_THREADS="1") for _ in range(2))
    assert compiled.stdout.count("torch.") == 2, compiled.stderr
    assert cached.stdout == compiled.stdout
