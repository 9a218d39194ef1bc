"""Mamba's selective scan, with the skip and the gate around it, by what the device and the pass allow.

Gu & Dao 2023 (arXiv:2312.00752), equations 2a, 2b and 4. On a GPU the authors' own fused kernel (package `mamba_ssm`),
which knows neither borders of documents nor a state to begin with; on a CPU without gradients a compiled loop
(selective_scan_kernels.py); else torch's operations, in chunks, so that the states (time x features x state) of one
chunk only are held where no gradients are kept. Letters: C features inside, N state.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model.architecture.masks import AttentionContext
from model.architecture.scan import linear_scan

logger = logging.getLogger(__name__)

CHUNK = 64
FUSED_DEVICES = frozenset({"cuda"})
"""Devices that the authors' kernel runs on."""
FUSED_DTYPES = frozenset({torch.float32, torch.float16, torch.bfloat16})


class ScanInputs(NamedTuple):
    """What a layer computed of its tokens, and its weights.

    Attributes:
        x: (batch, time, features).
        steps: As x, the sizes of the steps before their softplus.
        write: (batch, time, state).
        read: (batch, time, state).
        gate: As x, before its silu.
        rates: (features, state), negative, at least float32.
        skip: (features,).
    """

    x: Tensor
    steps: Tensor
    write: Tensor
    read: Tensor
    gate: Tensor
    rates: Tensor
    skip: Tensor


Scan = Callable[[ScanInputs, AttentionContext, Tensor | None], tuple[Tensor, Tensor]]
"""(inputs, context, state before or None) -> as x, and the state after the last token, (batch, features, state)."""


def selective_scan(inputs: ScanInputs, context: AttentionContext, name: str) -> Tensor:
    """`(read . state + skip * x) * silu(gate)`, the state running over the tokens.

    Args:
        inputs: Of the new tokens.
        context: Where documents begin, and the cache.
        name: Under which the cache keeps the state; unique in a model.

    Returns:
        As x.
    """
    held = context.cache.recall(name) if context.cache is not None else None
    scan = scan_for(inputs, context, held)
    y_BTC, state_BCN = scan(inputs, context, None if held is None else held[0])
    if context.cache is not None:
        context.cache.remember(name, (state_BCN,))
    return y_BTC


def scan_for(inputs: ScanInputs, context: AttentionContext, held: tuple[Tensor, ...] | None) -> Scan:
    """The fastest of the ways that compute this pass."""
    fused = fused_kernel() if is_one_text(inputs.x, context, held) else None
    if fused is not None:
        return functools.partial(fused_scan, fused)
    exact = torch.promote_types(inputs.x.dtype, torch.float32)
    if inputs.x.device.type == "cpu" and exact == torch.float32 and not torch.is_grad_enabled():
        return compiled_scan
    return chunked_scan


def is_one_text(x_BTC: Tensor, context: AttentionContext, held: tuple[Tensor, ...] | None) -> bool:
    """Whether the fused kernel computes this pass: on its devices, from an empty state, one document a sequence."""
    fits = x_BTC.device.type in FUSED_DEVICES and x_BTC.dtype in FUSED_DTYPES
    return fits and held is None and context.documents is None and context.mask is None


@functools.cache
def fused_kernel() -> Callable[..., Any] | None:
    """`selective_scan_fn` of the package `mamba_ssm`, or None where it is not installed or does not load."""
    if importlib.util.find_spec("mamba_ssm") is None:
        return None
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError as error:  # built for another torch or CUDA
        logger.warning("mamba: the package mamba_ssm does not load (%s); the slower scan in chunks is used", error)
        return None
    found: Callable[..., Any] = selective_scan_fn
    return found


def fused_scan(
    kernel: Callable[..., Any], inputs: ScanInputs, context: AttentionContext, state_BCN: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The way of the authors' kernel: time last, everything in one call."""
    del context, state_BCN  # one document, from an empty state
    x, steps, write, read, gate = (part.mT.contiguous() for part in inputs[:5])
    rates, skip = inputs.rates.float(), inputs.skip.float()
    y_BCT, last_BCN = kernel(
        x, steps, rates, write, read, D=skip, z=gate, delta_bias=None, delta_softplus=True, return_last_state=True
    )
    return y_BCT.mT, last_BCN


def compiled_scan(inputs: ScanInputs, context: AttentionContext, state_BCN: Tensor | None) -> tuple[Tensor, Tensor]:
    """The way of a CPU without gradients: torch's exponentials, and one loop over the tokens for all the rest."""
    from model.architecture.selective_scan_kernels import scan_tokens

    x_BTC = inputs.x.float()
    batch, time, features = x_BTC.shape
    steps_BTC, rates_NC = functional.softplus(inputs.steps.float()), inputs.rates.mT.contiguous()
    gain, write, read = steps_BTC * x_BTC, inputs.write.float().contiguous(), inputs.read.float().contiguous()
    begins = (context.new_positions(time) == 0).expand(batch, -1).contiguous()
    if state_BCN is None:
        state = x_BTC.new_zeros(batch, len(rates_NC), features)
    else:
        state = state_BCN.mT.clone(memory_format=torch.contiguous_format)  # the loop writes into it
    y_BTC = torch.empty_like(x_BTC, memory_format=torch.contiguous_format)
    whole = [part.numpy() for part in (gain, write, read, begins, state, y_BTC)]
    for start in range(0, time, CHUNK):
        decay = (steps_BTC[:, start : start + CHUNK, None] * rates_NC).exp_()
        scan_tokens(start, decay.numpy(), *whole)
    return _finished(y_BTC, inputs), state.mT


def chunked_scan(inputs: ScanInputs, context: AttentionContext, state_BCN: Tensor | None) -> tuple[Tensor, Tensor]:
    """The way with gradients: torch's operations, chunk by chunk."""
    x_BTC, rates_CN = inputs.x, inputs.rates
    exact = torch.promote_types(x_BTC.dtype, torch.float32)
    steps_BTC, exact_BTC = functional.softplus(inputs.steps.to(exact)), x_BTC.to(exact)
    write_BTN, read_BTN = inputs.write.to(exact), inputs.read.to(exact)
    begins_BT11 = (context.new_positions(x_BTC.shape[1]) == 0)[..., None, None]
    state = exact_BTC.new_zeros(x_BTC.shape[0], *rates_CN.shape) if state_BCN is None else state_BCN
    outputs = []
    for start in range(0, x_BTC.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        decay = torch.exp(steps_BTC[:, part, :, None] * rates_CN).masked_fill(begins_BT11[:, part], 0.0)
        update = (steps_BTC[:, part] * exact_BTC[:, part])[..., None] * write_BTN[:, part, None, :]
        states = linear_scan(decay, update, state)
        outputs.append((states @ read_BTN[:, part, :, None]).squeeze(-1))
        state = states[:, -1]
    return _finished(torch.cat(outputs, dim=1), inputs), state


def _finished(y_BTC: Tensor, inputs: ScanInputs) -> Tensor:
    """The skip and the gate."""
    dtype = inputs.x.dtype
    return (y_BTC.to(dtype) + inputs.skip.to(dtype) * inputs.x) * functional.silu(inputs.gate)
