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

SMALL = 131_072
"""Numbers below which one thread is faster than waking another."""

_process = ctypes.CDLL(None)
_parallel = getattr(_process, "GOMP_parallel", None)
if _parallel is not None:
    _parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    _parallel.restype = None
_nought, _one = (ctypes.CFUNCTYPE(ctypes.c_int)(lambda number=number: number) for number in (0, 1))
_asked = (_process.omp_get_thread_num, _process.omp_get_num_threads) if _parallel is not None else (_nought, _one)
_wait = _process.GOMP_barrier if _parallel is not None else ctypes.CFUNCTYPE(None)(lambda: None)
for _name, _function in zip(("tisslm_thread", "tisslm_threads", "tisslm_barrier"), (*_asked, _wait), strict=True):
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
            size: Numbers read or written in all; little work (`SMALL`) is done by one thread.
            *arguments: Contiguous tensors, which must outlive the call, and integers.
        """
        self.run(shared_by(size), rows, *arguments)

    def run(self, threads: int, rows: int, *arguments: int | Tensor) -> None:
        """The same on a number of threads; fewer may come."""
        if self._entry is None:
            self._compile()
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


def shared_by(size: int, small: int | None = None) -> int:
    """Threads for work on so many numbers; up to `small` (`SMALL`) of them one thread is the fastest."""
    if _parallel is None or size < (SMALL if small is None else small):
        return 1
    return torch.get_num_threads()


def bits(number: float) -> int:
    """A float as an argument."""
    found: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return found
