"""Run a kernel over rows, side by side on torch's own threads.

A kernel gets its tensors as addresses and works on its share of the rows. Torch's CPU builds for Linux bring GNU
OpenMP; its entry `GOMP_parallel` runs a function on the pool that torch's own operations use, so that no second pool
competes for the cores and `torch.set_num_threads` holds. Where there is no such entry (macOS), one thread does it all.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import torch
from llvmlite import binding
from torch import Tensor

from model import compiled

NUMBERS = {torch.float32: 0, torch.bfloat16: 1}
"""Types that kernels read and write, and what they are called there (numbers_kernels.py)."""
SMALL = 131_072
"""Numbers below which one thread is faster than waking another."""

_process = ctypes.CDLL(None)
_parallel = getattr(_process, "GOMP_parallel", None)
if _parallel is not None:
    _parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    _parallel.restype = None
_nought, _one = (ctypes.CFUNCTYPE(ctypes.c_int)(lambda number=number: number) for number in (0, 1))
_asked = (_process.omp_get_thread_num, _process.omp_get_num_threads) if _parallel is not None else (_nought, _one)
for _name, _function in zip(("tisslm_thread", "tisslm_threads"), _asked, strict=True):
    binding.add_symbol(_name, ctypes.cast(_function, ctypes.c_void_p).value)


class RowKernel:
    """A kernel `(arguments)`, compiled at its first launch and kept like all kernels (`model/compiled.py`).

    Args:
        function: Takes a pointer to int64: threads, rows, then its own arguments; see `share` in numbers_kernels.py.
    """

    def __init__(self, function: Callable[[Any], None]) -> None:
        self.function = function
        self._entry: Any = None
        self._on_one_thread: Any = None

    def launch(self, rows: int, size: int, *arguments: int | Tensor) -> None:
        """Run it.

        Args:
            rows: What is shared among the threads.
            size: Numbers read or written in all; little work is done by one thread.
            *arguments: Contiguous tensors, which must outlive the call, and integers.
        """
        if self._entry is None:
            self._compile()
        threads = torch.get_num_threads() if size >= SMALL and _parallel is not None else 1
        values = [a if type(a) is int else a.data_ptr() for a in arguments]  # type: ignore[union-attr]
        block = struct.pack(f"{2 + len(values)}q", threads, rows, *values)
        if threads == 1 or _parallel is None:
            self._on_one_thread(block)
        else:
            _parallel(self._entry.address, block, threads, 0)

    def _compile(self) -> None:
        self._entry = compiled.entry(self.function)
        self._on_one_thread = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._entry.address)


def row_kernel(function: Callable[[Any], None]) -> RowKernel:
    """Decorates the entry of a kernel."""
    return RowKernel(function)


def takes(*tensors: Tensor) -> bool:
    """Whether kernels can have these tensors: on a CPU, all of one type that they know."""
    first = tensors[0].dtype
    return first in NUMBERS and all(tensor.is_cpu and tensor.dtype == first for tensor in tensors)


def without_gradients(*tensors: Tensor) -> bool:
    """Whether kernels can have these tensors, and nobody asks for gradients."""
    return not torch.is_grad_enabled() and takes(*tensors)


def bits(number: float) -> int:
    """A float as an argument."""
    found: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return found
