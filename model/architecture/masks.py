"""Who may look at whom: causal, padded, packed, and the spans that see less than everything before.

Every layer has a *look*: a function from the pass's context to the bias that its scores get, or None where plain causal
attention says it all. Layers with the same look share one bias. A look's span and slopes say the same pair by pair, for
FlexAttention (flexible_attention.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from model.architecture.config import ModelConfig
from model.architecture.config.options import AttentionConfig


class KeyValueCache(Protocol):
    """What the layers ask of a cache; `model/generation/cache.py` has the implementations."""

    @property
    def length(self) -> int:
        """Tokens held for every sequence of the batch, padding included."""
        ...

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add a layer's keys and values (batch, kv_heads, new, head_size); return all that are held, new ones too.

        `layer` counts only the layers that have keys and values (`ModelConfig.cached_layers`).
        """
        ...

    def room(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """All places for keys and values of a layer, (batch, kv_heads, places, head_size) each, contiguous.

        Whoever writes a token's into place number `length` need not call `update`. None where they lie otherwise.
        """
        ...

    def advance(self, n: int) -> None:
        """Called once after all layers have added their `n` new tokens."""
        ...

    def recall(self, name: str) -> tuple[Tensor, ...] | None:
        """What a recurrent part kept of the tokens so far, (batch, ...) each; None at the beginning."""
        ...

    def remember(self, name: str, state: tuple[Tensor, ...]) -> None:
        """Keep a recurrent part's state for the next call."""
        ...


@dataclass(frozen=True)
class AttentionContext:
    """What all layers of one forward pass share.

    Attributes:
        cos: Rotary cosines, broadcastable to (batch, heads, time, head_size).
        sin: Rotary sines.
        mask: None for plain causal attention, else (batch or 1, 1, time, all) bool, True = may look.
        cache: Keys and values of earlier tokens, or None.
        documents: (batch, time) int64, the number of each token's document in its sequence; None where a sequence is
            one text. It stands in for the mask.
        positions: (batch or 1, all) int64, how many real tokens of its document stand before each token, held ones too.
        biases: Biases that a layer made and others use.
        rules: The same for FlexAttention (flexible_attention.py).
        lent: Keys and values that a layer made and others use, by the layer's number (shared_keys.py).
    """

    cos: Tensor
    sin: Tensor
    mask: Tensor | None
    cache: KeyValueCache | None
    documents: Tensor | None
    positions: Tensor
    biases: dict[object, Tensor] = field(default_factory=dict)
    rules: dict[object, Any] = field(default_factory=dict)
    lent: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def new_positions(self, time: int) -> Tensor:
        """Positions of the last `time` tokens: (batch or 1, time) int64."""
        return self.positions[:, self.positions.shape[1] - time :]


class Look(Protocol):
    """What a layer sees, as a bias for all pairs at once; `span`, `options` and `alibi_heads` say it for one pair."""

    @property
    def span(self) -> str:
        """A value of `patterns.SPANS`."""
        ...

    @property
    def options(self) -> AttentionConfig:
        """Window, dilation, sinks and blocks."""
        ...

    @property
    def alibi_heads(self) -> int:
        """Heads that ALiBi slopes are for; 0 is without."""
        ...

    def __call__(self, context: AttentionContext, time: int, dtype: torch.dtype) -> Tensor | None:
        """(batch or 1, heads or 1, new tokens, all) bias in dtype or bool mask, or None for plain causal."""
        ...


@dataclass(frozen=True)
class PlainLook:
    """Everything before, in the token's own document."""

    span: str = "full"
    options: AttentionConfig = field(default_factory=AttentionConfig)
    alibi_heads: int = 0

    def __call__(self, context: AttentionContext, time: int, dtype: torch.dtype) -> Tensor | None:
        """The mask of the pass, or the borders of its documents, made once."""
        del time
        if context.documents is None:
            return context.mask
        if self not in context.biases:
            context.biases[self] = document_borders(context.documents, dtype)
        return context.biases[self]


@dataclass(frozen=True)
class SpannedLook:
    """Less than everything before, or scores that fall with the distance.

    Attributes:
        span: A value of `patterns.SPANS`.
        options: Window, dilation, sinks and blocks.
        alibi_heads: Heads that ALiBi slopes are for; 0 is without.
    """

    span: str
    options: AttentionConfig
    alibi_heads: int

    def __call__(self, context: AttentionContext, time: int, dtype: torch.dtype) -> Tensor:
        """The bias of the scores: (batch or 1, heads or 1, time, all), made once in a pass."""
        if self not in context.biases:
            context.biases[self] = self._bias(context, time, dtype)
        return context.biases[self]

    def _bias(self, context: AttentionContext, time: int, dtype: torch.dtype) -> Tensor:
        keys = context.positions[:, None, None, :]
        queries = context.new_positions(time)[:, None, :, None]
        allowed = allowed_before(context, time) & SPANS[self.span](queries, keys, span_sizes(self.options))
        bias = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
        if self.alibi_heads:
            slopes = alibi_slopes(self.alibi_heads).to(allowed.device)[:, None, None]
            bias = ((keys - queries) * slopes).to(dtype).expand(allowed.shape[0], -1, -1, -1)
        return bias.masked_fill(~allowed, float("-inf"))


@dataclass(frozen=True)
class Sight:
    """What one layer sees in one pass.

    Attributes:
        look: The layer's.
        context: The pass.
        time: New tokens.
    """

    look: Look
    context: AttentionContext
    time: int

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """As the look gives it."""
        return self.look(self.context, self.time, dtype)

    @property
    def is_spanned(self) -> bool:
        """Whether the layer sees less than everything before in a sequence, or less of what is far."""
        return self.look.span != "full" or self.look.alibi_heads > 0 or self.context.documents is not None


def allowed_before(context: AttentionContext, time: int) -> Tensor:
    """What causality, padding and documents allow: (batch or 1, 1, time, all) bool."""
    if context.documents is not None:
        return same_document(context.documents)
    if context.mask is not None:
        return context.mask
    total = context.positions.shape[1]
    index = torch.arange(total, device=context.positions.device)
    return (index[None, :] <= index[total - time :, None])[None, None]


class SpanSizes(NamedTuple):
    """Numbers of the spans, as `AttentionConfig` has them; tensors of no dimension where a kernel is compiled once."""

    window: int | Tensor
    dilation: int | Tensor
    sinks: int | Tensor
    block: int | Tensor
    block_summary: int | Tensor


def span_sizes(options: AttentionConfig) -> SpanSizes:
    """The numbers of a configuration; a window that no span uses is 0."""
    return SpanSizes(options.window or 0, options.dilation, options.sinks, options.block, options.block_summary)


def _full(queries: Tensor, keys: Tensor, options: SpanSizes) -> Tensor:
    del options
    return keys <= queries


def _sliding(queries: Tensor, keys: Tensor, options: SpanSizes) -> Tensor:
    """The last `window` tokens (Beltagy et al. 2020, arXiv:2004.05150; Mistral)."""
    return queries - keys < options.window


def _dilated(queries: Tensor, keys: Tensor, options: SpanSizes) -> Tensor:
    """Every `dilation`-th token back, `window` of them (Beltagy et al. 2020, section 3.1)."""
    distance = queries - keys
    return (distance < options.window * options.dilation) & (distance % options.dilation == 0)


def _sinks(queries: Tensor, keys: Tensor, options: SpanSizes) -> Tensor:
    """The first tokens and the last `window` (Xiao et al. 2023, "attention sinks", arXiv:2309.17453)."""
    return _sliding(queries, keys, options) | (keys < options.sinks)


def _block_sparse(queries: Tensor, keys: Tensor, options: SpanSizes) -> Tensor:
    """The own block, and the last tokens of each earlier one (Child et al. 2019, "fixed", arXiv:1904.10509)."""
    same = queries // options.block == keys // options.block
    return same | (keys % options.block >= options.block - options.block_summary)


SPANS: dict[str, Callable[[Tensor, Tensor, SpanSizes], Tensor]] = {
    "full": _full, "sliding": _sliding, "dilated": _dilated, "sinks": _sinks, "block_sparse": _block_sparse,
}  # fmt: skip
"""(positions of queries, positions of keys, sizes) -> whether a query sees a key that is before it."""


def look_of(config: ModelConfig, layer: int) -> Look:
    """The look of a layer."""
    span, alibi = config.span(layer), config.positions(layer) == "alibi"
    if span == "full" and not alibi:
        return PlainLook()
    return SpannedLook(span, config.attention, config.n_heads if alibi else 0)


def alibi_slopes(n_heads: int) -> Tensor:
    """How fast each head's scores fall with the distance: (heads,) float32.

    Press et al. 2021 (arXiv:2108.12409): a geometric series from 2^(-8/n); for other than powers of two, every second
    slope of the next power of two fills up, as in the authors' code.
    """
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    slopes += [2.0 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * (n_heads - power), 2)]
    return torch.tensor(slopes)


def attention_mask(
    time: int, cache: KeyValueCache | None, padding_BT: Tensor | None, device: torch.device
) -> Tensor | None:
    """Who may look at whom, or None where plain causal attention says it all.

    Args:
        time: New tokens.
        cache: Earlier tokens, or None.
        padding_BT: (batch, earlier + new) bool, True = real token; None when nothing is padded.
        device: Where the mask is needed.

    Returns:
        None or (batch or 1, 1, new, earlier + new) bool. A padded query may look at itself, so that no row is empty.
    """
    earlier = cache.length if cache is not None else 0
    if padding_BT is None and (earlier == 0 or time == 1):
        return None
    total = earlier + time
    queries = torch.arange(earlier, total, device=device)[:, None]
    keys = torch.arange(total, device=device)[None, :]
    mask = (keys <= queries)[None, None]
    if padding_BT is not None:
        mask = (mask & padding_BT[:, None, None, :]) | (keys == queries)[None, None]
    return mask


def padded_positions(padding_BT: Tensor) -> Tensor:
    """Real tokens before each token: (batch, all) int64; padding itself is at 0."""
    return (padding_BT.long().cumsum(dim=1) - 1).clamp_min(0)


def document_positions(documents_BT: Tensor) -> Tensor:
    """How far each token is from the beginning of its document in the sequence: (batch, time) int64.

    Args:
        documents_BT: (batch, time) int64, the number of each token's document; equal numbers are neighbours.
    """
    time = torch.arange(documents_BT.shape[1], device=documents_BT.device).expand_as(documents_BT)
    begins = torch.ones_like(documents_BT, dtype=torch.bool)
    begins[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return time - torch.where(begins, time, 0).cummax(dim=1).values


def same_document(documents_BT: Tensor) -> Tensor:
    """Who is before whom in the same document: (batch, 1, time, time) bool.

    Args:
        documents_BT: (batch, time) int64, the number of each token's document.
    """
    time = documents_BT.shape[1]
    causal = torch.ones(time, time, dtype=torch.bool, device=documents_BT.device).tril()
    return ((documents_BT[:, :, None] == documents_BT[:, None, :]) & causal).unsqueeze(1)


def document_borders(documents_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """Block-diagonal causal attention as a bias, so that no token sees another document.

    Args:
        documents_BT: (batch, time) int64, the number of each token's document.
        dtype: Of the attention scores.

    Returns:
        (batch, 1, time, time): 0 where a query may look, -inf elsewhere. A query may always look at itself.
    """
    allowed = same_document(documents_BT)
    bias = torch.zeros(allowed.shape, dtype=dtype, device=documents_BT.device)
    return bias.masked_fill_(~allowed, float("-inf"))
