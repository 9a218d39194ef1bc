"""The seam: torch's checks of every operator, refusals at the border, a program's defaults, export, and the switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.errors import ConfigError
from model.generation.cache import StaticCache
from model.kernels.library import kernels_off, kernels_used
from model.training.objectives import training_loss

pytestmark = pytest.mark.feature("ARCH-17")
OPS = torch.ops.tisslm
SHAPE = {"vocab_size": 61, "n_layers": 2, "d_model": 48, "n_heads": 4, "n_kv_heads": 2, "d_ff": 72,
         "context_length": 32}  # fmt: skip


def numbers(*shape: int, dtype: torch.dtype = torch.float32, wants: bool = False) -> Tensor:
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))
    return found.to(dtype).requires_grad_(wants)


def network(**values: Any) -> Decoder:
    model = Decoder(ModelConfig.model_validate({**SHAPE, **values}))
    initialize(model, torch.Generator().manual_seed(0), std=0.2)
    return model.eval()


TOKENS = torch.randint(0, 61, (2, 12), generator=torch.Generator().manual_seed(1))


def block_arguments() -> tuple[Any, ...]:
    weights = [numbers(n) for n in (16, 16)] + [numbers(*n) for n in ((32, 16), (16, 16), (40, 16), (16, 20))]
    return (
        numbers(2, 1, 16), numbers(2, 2, 5, 4), numbers(2, 2, 5, 4), numbers(4), numbers(4), weights, [None] * 4,
        4, 3, True, 1e-5,
    )  # fmt: skip


CALLS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "rms_norm": lambda: (numbers(3, 8, wants=True), numbers(8, wants=True), 1e-5),
    "gated_silu": lambda: (numbers(3, 8, wants=True),),
    "split_heads": lambda: (numbers(2, 3, 32, wants=True), 4, 2, numbers(1, 1, 3, 4), numbers(1, 1, 3, 4)),
    "join_heads": lambda: (numbers(2, 4, 3, 4), numbers(2, 2, 3, 4), numbers(2, 2, 3, 4), None, None),
    "banded_attention": lambda: (*(numbers(2, 70, 4, wants=True) for _ in range(3)), True),
    "head_cross_entropy": lambda: (
        numbers(5, 4, wants=True), numbers(7, 4, wants=True), torch.tensor([0, 6, 3, 2, 2]), 0.1, 0.01, True
    ),
    "few_rows_product": lambda: (numbers(3, 6), torch.randint(-127, 127, (9, 6), dtype=torch.int8), numbers(9)),
    "attend_to_cache": lambda: (numbers(2, 4, 1, 6), numbers(2, 2, 9, 6)[:, :, :5], numbers(2, 2, 9, 6)[:, :, :5]),
    "decode_block": block_arguments,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_torchs_own_check_of_an_operator(name: str) -> None:
    torch.library.opcheck(getattr(OPS, name).default, CALLS[name]())


REFUSED: dict[str, tuple[type[Exception], Callable[[], Any]]] = {
    "weight of another width": (ValueError, lambda: OPS.rms_norm(numbers(3, 8), numbers(7), 1e-5)),
    "weight of another type": (ValueError, lambda: OPS.rms_norm(numbers(3, 8), numbers(8).double(), 1e-5)),
    "a type of no kernel": (ValueError, lambda: OPS.gated_silu(numbers(3, 8).double())),
    "half a gate": (ValueError, lambda: OPS.gated_silu(numbers(3, 7))),
    "features of no heads": (ValueError, lambda: OPS.split_heads(numbers(2, 3, 31), 4, 2, None, None)),
    "tables of other positions": (
        ValueError, lambda: OPS.split_heads(numbers(2, 3, 32), 4, 2, numbers(1, 1, 2, 4), numbers(1, 1, 2, 4))
    ),
    "keys of another length": (
        ValueError, lambda: OPS.banded_attention(numbers(2, 5, 4), numbers(2, 4, 4), numbers(2, 5, 4), False)
    ),
    "a target behind the vocabulary": (
        IndexError, lambda: OPS.head_cross_entropy(numbers(1, 4), numbers(7, 4), torch.tensor([7]), 0.0, 0.0, False)
    ),
    "a target before it": (
        IndexError, lambda: OPS.head_cross_entropy(numbers(1, 4), numbers(7, 4), torch.tensor([-1]), 0.0, 0.0, False)
    ),
    "too few targets": (
        ValueError, lambda: OPS.head_cross_entropy(numbers(2, 4), numbers(7, 4), torch.tensor([1]), 0.0, 0.0, False)
    ),
    "int8 without scales": (ValueError, lambda: OPS.few_rows_product(numbers(1, 4), numbers(7, 4).char(), None)),
    "another inner side": (ValueError, lambda: OPS.few_rows_product(numbers(1, 5), numbers(7, 4), None)),
    "keys that lie otherwise": (
        ValueError, lambda: OPS.attend_to_cache(numbers(1, 2, 1, 4), numbers(1, 2, 4, 3).mT, numbers(1, 2, 4, 3).mT)
    ),
    "a full cache": (
        ValueError, lambda: OPS.decode_block(*(5 if i == 8 else a for i, a in enumerate(block_arguments())))
    ),
    "another width of a block": (
        ValueError, lambda: OPS.decode_block(numbers(2, 1, 15), *block_arguments()[1:])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_before_memory_is_touched(name: str) -> None:
    error, call = REFUSED[name]
    with torch.no_grad(), pytest.raises(error, match="tisslm::"):
        call()


def everything(model: Decoder) -> list[Tensor]:
    """Logits, those of decoding with a cache, and the gradients of a step."""
    cache = StaticCache(2, 12)
    with torch.no_grad():
        found = [model(TOKENS), model(TOKENS[:, :9], cache=cache), model(TOKENS[:, 9:10], cache=cache)]
    loss = training_loss(model, TOKENS[:, :-1], TOKENS[:, 1:])
    return [*found, loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("default", [torch.bfloat16, torch.float64, torch.float16])
def test_a_programs_default_type_changes_nothing(default: torch.dtype) -> None:
    model = network()
    expected = everything(model)
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        found = everything(model)
    finally:
        torch.set_default_dtype(before)
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == torch.float32
        torch.testing.assert_close(x, y, atol=0, rtol=0)


def test_a_programs_default_device_changes_nothing() -> None:
    model = network()
    expected = everything(model)
    with torch.device("meta"):
        found = everything(model)
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, atol=0, rtol=0)


def test_the_switch_turns_all_off_and_results_stay() -> None:
    model = network()
    expected = everything(model)
    assert kernels_used()
    with kernels_off(), torch.profiler.profile() as profile:
        assert not kernels_used()
        found = everything(model)
    assert not [event.key for event in profile.key_averages() if event.key.startswith("tisslm::")]
    assert kernels_used()
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)


def test_the_variable_turns_all_off(run_python: Callable[..., Any]) -> None:
    code = "from model.kernels.library import kernels_used; print(kernels_used())"
    assert run_python(code, TISSLM_KERNELS="off").stdout.strip() == "False"
    assert run_python(code, TISSLM_KERNELS="on").stdout.strip() == "True"
    assert ConfigError.__name__ in run_python(code, TISSLM_KERNELS="perhaps").stderr


def test_fake_tensors_have_shapes_and_leave_nothing_behind() -> None:
    model = network()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        assert model(torch.zeros(2, 12, dtype=torch.int64)).shape == (2, 12, 61)
    with torch.no_grad():
        assert model(TOKENS).isfinite().all()


@pytest.mark.parametrize("gradients", [True, False])
def test_an_exported_decoder_computes_the_same(gradients: bool) -> None:
    model = network()
    with torch.set_grad_enabled(gradients):
        exported = torch.export.export(model, (TOKENS,)).module()
        other = TOKENS.flip(1)
        torch.testing.assert_close(exported(other), model(other), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model(TOKENS), network()(TOKENS), atol=0, rtol=0)  # the export left it as it was
