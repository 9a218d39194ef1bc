"""Mamba's scan in chunks against the compiled loop and the authors' kernel, whose function is written out here.

That kernel itself needs a GPU: it was not run. What stands in for it follows the contract of `selective_scan_fn` and
the equations of the paper, token by token, and is found as the package would be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from configurations import built, tokens_of

from model.architecture import selective_scan as module
from model.architecture.config import ModelConfig
from model.architecture.masks import AttentionContext
from model.architecture.selective_scan import (
    ScanInputs,
    chunked_scan,
    compiled_scan,
    fused_kernel,
    fused_scan,
    is_one_text,
    scan_for,
)
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-10")

PACKAGE = '''
import torch

def selective_scan_fn(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False
):
    """u, delta, z: (batch, features, time) of one type; A: (features, state) and D, delta_bias: (features,) float32;
    B, C: (batch, state, time) of u's type. Returns as u; with return_last_state also (batch, features, state) float32.
    """
    assert all(x.dtype == u.dtype and (x.stride(-1) == 1 or x.shape[-1] == 1) for x in (u, delta, B, C, z))
    assert A.dtype == D.dtype == torch.float32
    steps = delta.float() if delta_bias is None else delta.float() + delta_bias[None, :, None]
    steps = torch.log1p(torch.exp(steps)) if delta_softplus else steps
    states = [torch.zeros(u.shape[0], *A.shape)]
    outputs = []
    for t in range(u.shape[2]):
        step = steps[:, :, t, None]
        states.append((step * A).exp() * states[-1] + step * B[:, None, :, t].float() * u[:, :, t, None].float())
        outputs.append(torch.einsum("bcn,bn->bc", states[-1], C[:, :, t].float()))
    y = torch.stack(outputs, dim=-1) + D[:, None] * u.float()
    y = (y * z.float() * torch.sigmoid(z.float())).to(u.dtype)
    return (y, states[-1]) if return_last_state else y
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `mamba_ssm` for the CPU, as long as the test runs."""
    folder = tmp_path / "mamba_ssm" / "ops"
    folder.mkdir(parents=True)
    for init in (folder, folder.parent):
        (init / "__init__.py").touch()
    (folder / "selective_scan_interface.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "FUSED_DEVICES", frozenset({"cpu"}))
    fused_kernel.cache_clear()
    yield folder
    fused_kernel.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "mamba_ssm"]:
        del sys.modules[name]


def plain(time: int) -> AttentionContext:
    empty = torch.empty(0)
    return AttentionContext(empty, empty, None, None, None, torch.arange(time)[None])


def inputs_of(time: int, dtype: torch.dtype) -> ScanInputs:
    generator = torch.Generator().manual_seed(time)
    shapes = [(2, time, 6), (2, time, 6), (2, time, 3), (2, time, 3), (2, time, 6), (6, 3), (6,)]
    parts = [torch.randn(shape, generator=generator) for shape in shapes]
    parts = [part.to(dtype) for part in parts[:5]] + [-parts[5].exp(), parts[6]]
    return ScanInputs(*(part.requires_grad_() for part in parts[:5]), parts[5].detach().requires_grad_(), parts[6])


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("time", [1, 64, 150])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_the_fused_way_equals_the_chunks_with_gradients(time: int, dtype: torch.dtype, tolerance: float) -> None:
    kernel = fused_kernel()
    assert kernel is not None
    inputs, context = inputs_of(time, dtype), plain(time)
    found, last = fused_scan(kernel, inputs, context, None)
    expected, expected_last = chunked_scan(inputs, context, None)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(last, expected_last, atol=tolerance, rtol=tolerance)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs[:6])
    gradients = torch.autograd.grad((found * weights).sum(), inputs[:6])
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=tolerance * 20, rtol=tolerance * 2)


@torch.no_grad()
def test_a_text_is_read_fused_and_gone_on_with_from_the_state_that_the_kernel_gives(package: Path) -> None:
    network = built(ModelConfig(vocab_size=40, n_layers=2, d_model=16, mixers="M", context_length=32))
    tokens = tokens_of(2, 20)
    fused = network(tokens)
    assert "mamba_ssm" in sys.modules
    cache = StaticCache(0, 20)
    parts = [network(tokens[:, a:b], cache=cache) for a, b in pairwise([0, 11, 12, 20])]
    (package / "selective_scan_interface.py").write_text("raise ImportError('built for another torch')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mamba_ssm"]:
        del sys.modules[name]
    fused_kernel.cache_clear()
    with torch.enable_grad():
        chunked = network(tokens).detach()  # what does not load is not used
    assert fused_kernel() is None
    torch.testing.assert_close(fused, chunked, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat(parts, dim=1), chunked, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("time", [1, 63, 150])
@pytest.mark.parametrize("begins", [[], [0], [0, 5, 6, 70]])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_the_compiled_loop_equals_the_chunks_from_a_held_state(
    time: int, begins: list[int], dtype: torch.dtype, tolerance: float
) -> None:
    positions = torch.ones(2, time, dtype=torch.long)
    positions[0, [at for at in begins if at < time]] = 0
    context, inputs = replace(plain(time), positions=positions), inputs_of(time, dtype)
    assert scan_for(inputs, context, (torch.zeros(2, 6, 3),)) is compiled_scan
    state = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2))
    for before in (None, state):
        kept = None if before is None else before.clone()
        found, last = compiled_scan(inputs, context, before)
        expected, expected_last = chunked_scan(inputs, context, before)
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(last, expected_last, atol=1e-5, rtol=1e-5)
        assert before is None or torch.equal(before, kept)


def test_with_gradients_the_scan_runs_in_chunks() -> None:
    assert scan_for(inputs_of(4, torch.float32), plain(4), None) is chunked_scan


def test_only_one_text_from_its_beginning_on_the_right_device_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    x, empty, positions = torch.zeros(1, 4, 6), torch.empty(0), torch.arange(4)[None]
    assert not is_one_text(x, plain(4), None)  # a CPU
    monkeypatch.setattr(module, "FUSED_DEVICES", frozenset({"cpu"}))
    assert is_one_text(x, plain(4), None)
    assert is_one_text(x.bfloat16(), plain(4), None)
    assert not is_one_text(x.double(), plain(4), None)
    assert not is_one_text(x, plain(4), (torch.zeros(1, 6, 3),))
    documents = AttentionContext(empty, empty, None, None, torch.tensor([[0, 0, 1, 1]]), positions)
    padded = AttentionContext(empty, empty, torch.ones(1, 1, 4, 4, dtype=torch.bool), None, None, positions)
    assert not is_one_text(x, documents, None)
    assert not is_one_text(x, padded, None)
