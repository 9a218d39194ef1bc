"""The one entry to attention's arithmetic: whichever implementation computes the same fastest.

`short_attention.py` in training at short context on a CPU, `tiled_attention.py` where scores are soft-capped (no fused
kernel of torch does that on a CPU), `scaled_dot_product_attention` (flash kernels where the device has them) else.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.architecture.decoding_attention import decodes, decoding_attention
from model.architecture.short_attention import LONGEST, LONGEST_BANDED, is_banded, short_causal_attention
from model.architecture.tiled_attention import tiled_attention


def attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, training: bool, dropout: float, softcap: float | None
) -> Tensor:
    """Softmax attention (Vaswani et al. 2017, eq. 1) of the last `time` of `all` tokens.

    Args:
        q: (batch, heads, time, head_size).
        k: (batch, kv_heads, all, head_size), kv_heads divides heads.
        v: As k.
        bias: None for plain causal attention, else (batch or 1, heads or 1, time, all): a bool mask (True =
            may look), or a bias in q's dtype that includes what causal forbids.
        training: Whether gradients and dropout are wanted.
        dropout: Share of the probabilities dropped in training.
        softcap: Scores are kept below this by tanh before the bias; None is without.

    Returns:
        (batch, heads, time, head_size).
    """
    time, masked_by_bool = q.shape[2], bias is not None and bias.dtype == torch.bool
    if softcap is not None:
        return tiled_attention(q, k, v, bias, softcap=softcap)
    if bias is None and decodes(q, k, v):
        return decoding_attention(q, k, v)
    if bias is None and dropout == 0 and 1 < time == k.shape[2] <= LONGEST_BANDED and is_banded(q, k, v):
        return short_causal_attention(q, k, v)
    short = training and dropout == 0 and k.shape[2] == time <= LONGEST and q.device.type == "cpu"
    if short and not masked_by_bool:
        return short_causal_attention(q, k, v, None if bias is None else bias.expand(q.shape[0], -1, -1, -1))
    return functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=bias,
        dropout_p=dropout if training else 0.0,
        is_causal=bias is None and time > 1,
        enable_gqa=k.shape[1] != q.shape[1],
    )
