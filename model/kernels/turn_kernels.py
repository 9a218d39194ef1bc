"""A rotation of sixteen pairs of features at once, written in LLVM's vectors.

LLVM turns loops into vector instructions only where they are long; half a head, 16 or 32 features, is not.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from model.kernels.numbers_kernels import inlined, intrinsic, narrowed, widened

LANES = 16
WORDS = ir.VectorType(ir.IntType(32), LANES)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
HALVES = ir.VectorType(ir.IntType(16), LANES)


def _words(number: int) -> Any:
    return ir.Constant(WORDS, [number] * LANES)


def _load(builder: Any, start: Any, place: Any, kind: Any) -> Any:
    """Sixteen stored numbers as float32."""
    where = builder.gep(start, [place])
    if kind != types.uint16:
        return builder.load(builder.bitcast(where, FLOATS.as_pointer()), align=4)
    stored = builder.load(builder.bitcast(where, HALVES.as_pointer()), align=2)
    return builder.bitcast(builder.shl(builder.zext(stored, WORDS), _words(16)), FLOATS)


def _save(builder: Any, start: Any, place: Any, numbers: Any, kind: Any) -> None:
    """Write sixteen float32 in a type, rounded to nearest even."""
    where = builder.gep(start, [place])
    if kind != types.uint16:
        builder.store(numbers, builder.bitcast(where, FLOATS.as_pointer()), align=4)
        return
    bits = builder.bitcast(numbers, WORDS)
    odd = builder.and_(builder.lshr(bits, _words(16)), _words(1))
    rounded = builder.lshr(builder.add(builder.add(bits, _words(0x7FFF)), odd), _words(16))
    builder.store(builder.trunc(rounded, HALVES), builder.bitcast(where, HALVES.as_pointer()), align=2)


@intrinsic
def _turn_sixteen(typing: Any, x: Any, y: Any, cos: Any, sin: Any, low: Any, high: Any, sin_low: Any) -> Any:
    """Turn x[low:] with x[high:] into y; `sin_low` is where the sines that x[high:] is multiplied with begin."""
    del typing, low, high, sin_low

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0].dtype
        starts = [context.make_array(t)(context, builder, a).data for t, a in zip(sig.args[:4], args[:4], strict=True)]
        (x, y, cos, sin), (low, high, sin_low) = starts, args[4:]
        sin_high = builder.sub(builder.add(low, high), sin_low)
        a, b = _load(builder, x, low, kind), _load(builder, x, high, kind)
        turned = builder.fmul(b, _load(builder, sin, sin_low, kind))
        _save(builder, y, low, builder.fadd(builder.fmul(a, _load(builder, cos, low, kind)), turned), kind)
        turned = builder.fmul(a, _load(builder, sin, sin_high, kind))
        _save(builder, y, high, builder.fadd(builder.fmul(b, _load(builder, cos, high, kind)), turned), kind)
        return context.get_dummy_value()

    return types.void(x, y, cos, sin, types.int64, types.int64, types.int64), generate


@inlined
def turn(x: Any, y: Any, cos: Any, sin: Any, backwards: Any) -> None:
    """Turn the features of a head, x, into y by the angles of its position; backwards by their negatives.

    `cos` has each cosine twice, `sin` the negative sines and then the sines, as in architecture/position.py.
    """
    half = x.shape[0] // 2
    sin_low, sin_high = (half, 0) if backwards else (0, half)
    i = 0
    while i + LANES <= half:
        _turn_sixteen(x, y, cos, sin, i, half + i, sin_low + i)
        i += LANES
    while i < half:
        a, b = widened(x[i]), widened(x[half + i])
        y[i] = narrowed(a * widened(cos[i]) + b * widened(sin[sin_low + i]), y[i])
        y[half + i] = narrowed(b * widened(cos[half + i]) + a * widened(sin[sin_high + i]), y[half + i])
        i += 1
