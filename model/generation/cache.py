"""Keys and values of earlier tokens, in memory that is allocated once."""

from __future__ import annotations

import torch
from torch import Tensor

from model.errors import GenerationError


class StaticCache:
    """A key/value cache of fixed size; it fits the seam `model.architecture.attention.KeyValueCache`.

    Keys and values are two tensors (layers, batch, kv_heads, max_length, head_size), allocated at the first update in
    the dtype and on the device of the first keys.

    Args:
        n_layers: Layers with keys and values of their own (`len(ModelConfig.cached_layers)`).
        max_length: Tokens that fit, padding included.
    """

    def __init__(self, n_layers: int, max_length: int) -> None:
        self.n_layers, self.max_length = n_layers, max_length
        self._length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._states: dict[str, tuple[Tensor, ...]] = {}

    @property
    def length(self) -> int:
        """Tokens held for every sequence of the batch, padding included."""
        return self._length

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add a layer's new keys and values; return all that are held, the new ones too.

        Args:
            layer: Which of those layers.
            k: (batch, kv_heads, new, head_size).
            v: As k.

        Returns:
            Keys and values (batch, kv_heads, length + new, head_size), views into the cache.

        Raises:
            GenerationError: They do not fit.
        """
        batch, heads, new, size = k.shape
        end = self._length + new
        if end > self.max_length:
            raise GenerationError(f"cache of {self.max_length} tokens: {end} do not fit; make it longer or start anew")
        if self._keys is None or self._values is None:
            shape = (self.n_layers, batch, heads, self.max_length, size)
            self._keys = torch.empty(shape, dtype=k.dtype, device=k.device)
            self._values = torch.empty(shape, dtype=v.dtype, device=v.device)
        self._keys[layer, :, :, self._length : end] = k
        self._values[layer, :, :, self._length : end] = v
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def room(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """All places for a layer's keys and values, (batch, kv_heads, max_length, head_size); None before the first."""
        if self._keys is None or self._values is None:
            return None
        return self._keys[layer], self._values[layer]

    def advance(self, n: int) -> None:
        """Count `n` new tokens as held; called once after all layers."""
        self._length += n

    def recall(self, name: str) -> tuple[Tensor, ...] | None:
        """What a recurrent part kept of the tokens so far, (batch, ...) each; None at the beginning."""
        return self._states.get(name)

    def remember(self, name: str, state: tuple[Tensor, ...]) -> None:
        """Keep a recurrent part's state for the next call."""
        self._states[name] = state

    def select(self, rows: list[int]) -> None:
        """Keep only these sequences of the batch, in this order."""
        self._states = {name: tuple(part[rows] for part in state) for name, state in self._states.items()}
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[:, rows], self._values[:, rows]
