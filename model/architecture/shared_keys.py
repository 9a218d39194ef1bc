"""Whose keys and values an attention layer looks at: its own, or those of a layer before it.

Brandon et al. 2024, "Reducing Transformer Key-Value Cache Size with Cross-Layer Attention" (arXiv:2405.12981):
`attention.share_layers` attention layers in a row use the keys and values of the first of them, so the others have
queries only, and a cache keeps nothing for them. Layers of other mixers between them do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from model.architecture.config import ModelConfig
from model.architecture.masks import AttentionContext


class Keys(Protocol):
    """From a layer's new keys and values to all that it looks at, each (batch, kv_heads, all, head_size)."""

    def __call__(self, k: Tensor, v: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """The new ones (batch, own kv_heads, time, head_size) -> held and new ones."""
        ...


@dataclass(frozen=True)
class OwnKeys:
    """The layer's own, with those of earlier tokens where there is a cache.

    Attributes:
        place: Of the layer among those that a cache keeps.
    """

    place: int

    def __call__(self, k: Tensor, v: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """Add the new ones to the cache."""
        return (k, v) if context.cache is None else context.cache.update(self.place, k, v)


@dataclass(frozen=True)
class LentKeys:
    """The layer's own, which layers after it use too.

    Attributes:
        own: The layer's own.
        layer: The layer's number.
    """

    own: OwnKeys
    layer: int

    def __call__(self, k: Tensor, v: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """Add the new ones to the cache, and leave all for the layers after."""
        context.lent[self.layer] = self.own(k, v, context)
        return context.lent[self.layer]


@dataclass(frozen=True)
class BorrowedKeys:
    """Those of a layer before.

    Attributes:
        source: That layer's number.
    """

    source: int

    def __call__(self, k: Tensor, v: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor]:
        """What that layer looked at in this pass."""
        del k, v  # they have no heads
        return context.lent[self.source]


def keys_for(config: ModelConfig, layer: int) -> Keys:
    """Where the keys and values of an attention layer come from."""
    source, attention_layers = config.keys_of(layer), config.attention_layers
    if source != layer:
        return BorrowedKeys(source)
    own = OwnKeys(config.cached_layers.index(layer))
    following = attention_layers[attention_layers.index(layer) + 1 :]
    return LentKeys(own, layer) if following and config.keys_of(following[0]) == layer else own
