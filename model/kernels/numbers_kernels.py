"""What all kernels of the network are made of: their arguments, bfloat16, and an exponential that vectorizes.

numba knows no bfloat16: such memory is read as uint16, widened to float32 by a shift, and rounded to nearest even when
it is written. `sums` may add in another order, so that they fill vector registers: results are the same on every run on
one machine, as torch's own are, and may differ in the last bit between machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types

OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "cache": True}
"""A product may be joined with the sum after it; a division by zero is infinite and raises nothing."""
OF_SUMS: dict[str, Any] = {**OPTIONS, "fastmath": {*OPTIONS["fastmath"], "reassoc"}}
F = TypeVar("F", bound=Callable[..., Any])
FLOAT32, BFLOAT16 = 0, 1
LOG2_E = np.float32(1.4426950408889634)
# 2^f for f in [-0.5, 0.5], relative error below 1e-7 (Chebyshev fit)
C0, C1, C2, C3, C4, C5, C6 = (
    np.float32(c)
    for c in (
        1.0, 0.693147180559945, 0.240226506959101, 0.0555041086648216,
        0.00961812910762848, 0.00133335581464284, 0.000154035303933816,
    )
)  # fmt: skip
thread_number = types.ExternalFunction("tisslm_thread", types.int32())
thread_count = types.ExternalFunction("tisslm_threads", types.int32())
_barrier = types.ExternalFunction("tisslm_barrier", types.void())


def loops(function: F) -> F:
    """Loops over memory that write, compiled into the kernel that calls them.

    Before a loop that reads and writes, the compiler's code asks whether the two places are so close that it must go
    number by number. Numbers are multiplied and added as they are written here, so that both ways give the same bits:
    results must not depend on where memory happens to lie, or a resumed run would not end with the same bytes.
    """
    return cast(F, numba.njit(**OPTIONS)(function))


def sums(function: F) -> F:
    """Loops that only read, and may add in another order: a loop that sums must not also write, see `loops`."""
    return cast(F, numba.njit(**OF_SUMS)(function))


def inlined(function: F) -> F:
    """A piece of loops."""
    return cast(F, numba.njit(inline="always", **OPTIONS)(function))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operation written in LLVM's own; numba passes its typing context first, callers do not."""
    return cast(Callable[..., Any], extending.intrinsic(function))


@intrinsic
def double_of(typing: Any, number: Any) -> Any:
    """The float64 with the bits of an int64."""
    del typing, number

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context, sig
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def nearest(typing: Any, number: Any) -> Any:
    """Round to the nearest whole number."""
    del typing, number

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context, sig
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [ir.FloatType()]), args)

    return types.float32(types.float32), generate


def _in_order(builder: Any, bits: Any) -> Any:
    """Bits of a float32 to an int32 that is larger where the float is, and back: negative ones are turned round."""
    word = bits.type
    return builder.xor(bits, builder.and_(builder.ashr(bits, word(31)), word(0x7FFFFFFF)))


@intrinsic
def order_of(typing: Any, number: Any) -> Any:
    """A float32 as an int32 that compares like it; loops of integer maxima fill vector registers, of floats not."""
    del typing, number

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context, sig
        return _in_order(builder, builder.bitcast(args[0], ir.IntType(32)))

    return types.int32(types.float32), generate


@intrinsic
def number_at(typing: Any, order: Any) -> Any:
    """The float32 of an `order_of`."""
    del typing, order

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context, sig
        return builder.bitcast(_in_order(builder, args[0]), ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def power_of_two(typing: Any, number: Any) -> Any:
    """2 to a whole number from -126 to 127, by its bits."""
    del typing, number

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context, sig
        word = ir.IntType(32)
        exponent = builder.add(builder.fptosi(args[0], word), word(127))
        return builder.bitcast(builder.shl(exponent, word(23)), ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def _pointer(typing: Any, address: Any, kind: Any) -> Any:
    """An address as a pointer to numbers of a type."""
    del typing, address
    pointer = types.CPointer(kind.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return pointer(types.int64, kind), generate


@intrinsic
def widened(typing: Any, number: Any) -> Any:
    """A stored number as float32."""
    del typing

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context
        if sig.args[0] != types.uint16:
            return args[0]
        word = ir.IntType(32)
        return builder.bitcast(builder.shl(builder.zext(args[0], word), word(16)), ir.FloatType())

    return types.float32(number), generate


@intrinsic
def narrowed(typing: Any, number: Any, stored: Any) -> Any:
    """A float32 in the type of a stored number: as it is, or rounded to the nearest bfloat16, ties to even."""
    del typing, number

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        del context
        if sig.return_type != types.uint16:
            return args[0]
        word = ir.IntType(32)
        bits = builder.bitcast(args[0], word)
        odd = builder.and_(builder.lshr(bits, word(16)), word(1))
        rounded = builder.add(builder.add(bits, word(0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, word(16)), ir.IntType(16))

    return stored(types.float32, stored), generate


@inlined
def exponential(x: Any) -> Any:
    """`exp` of a float32 below 88; 0 below -87, NaN of NaN. Relative error 2e-7."""
    t = x * LOG2_E
    t = min(max(t, np.float32(-126.0)), np.float32(127.0))
    whole = nearest(t)
    f = t - whole
    p = C0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * (C5 + f * C6)))))
    y = p * power_of_two(whole)
    return np.float32(0.0) if x < np.float32(-87.0) else y


@inlined
def largest_of(line: Any) -> Any:
    """The largest of some stored numbers; where one is NaN, NaN or another of them."""
    largest = order_of(widened(line[0]))
    for i in range(1, line.shape[0]):
        order = order_of(widened(line[i]))
        largest = order if order > largest else largest
    return number_at(largest)


@inlined
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) of a float32."""
    return np.float32(1.0) / (np.float32(1.0) + exponential(min(-x, np.float32(87.0))))


@inlined
def part_of(rows: Any, asked: Any) -> Any:
    """First and last (exclusive) of some rows for this thread; fewer threads may come than were asked for."""
    if asked == 1:
        return np.int64(0), rows
    threads, thread = np.int64(thread_count()), np.int64(thread_number())
    return rows * thread // threads, rows * (thread + 1) // threads


@inlined
def share(arguments: Any) -> Any:
    """First and last row (exclusive) of this thread."""
    return part_of(arguments[1], arguments[0])


@inlined
def wait_for_others(asked: Any) -> None:
    """Go on when all threads that came are here."""
    if asked != 1:
        _barrier()


@inlined
def floats(address: Any, shape: Any) -> Any:
    """Memory of float32."""
    return numba.carray(_pointer(address, np.float32), shape)


@inlined
def halves(address: Any, shape: Any) -> Any:
    """Memory of bfloat16, as uint16."""
    return numba.carray(_pointer(address, np.uint16), shape)


@inlined
def integers(address: Any, shape: Any) -> Any:
    """Memory of int64."""
    return numba.carray(_pointer(address, np.int64), shape)


@inlined
def bytes_of(address: Any, shape: Any) -> Any:
    """Memory of int8."""
    return numba.carray(_pointer(address, np.int8), shape)
