"""The seam between the network and its kernels: operators of torch, and one switch that turns all of them off.

Every kernel is reached through an operator `torch.ops.tisslm.NAME` with explicit types. At its border sizes, types,
devices and indices are checked, since a kernel gets addresses and checks nothing. Operators know fake tensors and,
where they have any, their gradients, so that export, compilation and tracing see them as they see torch's own.

`TISSLM_KERNELS=off`, `use_kernels(False)` or `with kernels_off()` send every part the way that torch alone computes.
Results then differ by rounding.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from model.errors import ConfigError

NUMBERS = {torch.float32: 0, torch.bfloat16: 1}
"""Types that kernels read and write, and what they are called there (numbers_kernels.py)."""
VARIABLE = "TISSLM_KERNELS"
LIBRARY = torch.library.Library("tisslm", "DEF")


def _from_environment() -> bool:
    value = os.environ.get(VARIABLE, "on").lower()
    if value not in {"on", "off"}:
        raise ConfigError(f"{VARIABLE}={value!r}: expected on or off; unset it for on")
    return value == "on"


_used = _from_environment()


def kernels_used() -> bool:
    """Whether the network's own kernels take part on a CPU."""
    return _used


def use_kernels(used: bool) -> None:
    """Turn the network's own kernels on or off in this process; they are on unless `TISSLM_KERNELS` says off."""
    global _used  # noqa: PLW0603  # one switch for all parts of a process
    _used = used


@contextlib.contextmanager
def kernels_off() -> Iterator[None]:
    """Torch's own operations in this block of code."""
    before = _used
    use_kernels(False)
    try:
        yield
    finally:
        use_kernels(before)


def takes(*tensors: Tensor) -> bool:
    """Whether kernels can have these tensors: they are on, on a CPU, and all of one type that they know."""
    first = tensors[0].dtype
    return _used and first in NUMBERS and all(tensor.is_cpu and tensor.dtype == first for tensor in tensors)


def without_gradients(*tensors: Tensor) -> bool:
    """Whether kernels can have these tensors, and nobody asks for gradients."""
    return not torch.is_grad_enabled() and takes(*tensors)


def operator(schema: str, cpu: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Make an operator of a function.

    Args:
        schema: As torch writes it, e.g. `gated_silu(Tensor gate_up) -> Tensor`.
        cpu: What computes it.
        fake: Results of the right shapes, types and devices without numbers.

    Returns:
        The operator, to be called.
    """
    name = LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, cpu, "CPU")
    torch.library.register_fake(f"tisslm::{name}", fake, lib=LIBRARY)
    return getattr(torch.ops.tisslm, name).default


def differentiable(name: str, backward: Callable[..., Any], setup: Callable[[Any, tuple[Any, ...], Any], None]) -> None:
    """Tell torch how an operator's gradients are computed; see `torch.library.register_autograd`."""
    torch.library.register_autograd(f"tisslm::{name}", backward, setup_context=setup, lib=LIBRARY)


def refuse(operator_name: str, what: str) -> ValueError:
    """The error for tensors that an operator cannot have."""
    return ValueError(f"tisslm::{operator_name}: {what}")


def checked(operator_name: str, name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A tensor that a kernel may read: of that type and shape, on a CPU, contiguous (else a copy), aligned.

    Raises:
        ValueError: Type, shape or device differ.
    """
    if tensor.dtype != dtype or tensor.shape != shape or not tensor.is_cpu:
        raise refuse(
            operator_name,
            f"{name} is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}, expected {dtype} {shape} on cpu",
        )
    if not tensor.is_contiguous():
        return tensor.contiguous()
    return tensor if tensor.data_ptr() % tensor.element_size() == 0 else tensor.clone()


def kind_of(operator_name: str, tensor: Tensor) -> int:
    """What kernels call a tensor's type.

    Raises:
        ValueError: They do not know it.
    """
    kind = NUMBERS.get(tensor.dtype)
    if kind is None:
        raise refuse(operator_name, f"{tensor.dtype} is no type of the kernels; give float32 or bfloat16")
    return kind


def space(*sizes: int) -> Tensor:
    """Memory of float32 for a kernel, whatever the program's defaults are."""
    return torch.empty(sizes, dtype=torch.float32, device="cpu")
