"""Several sequences of different lengths before one network: padding, cache, and what happens at the context's end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from model.architecture.decoder import Decoder
from model.generation.cache import StaticCache


class WindowBatch:
    """The tokens that the network sees of each sequence, and the logits for the next one.

    Shorter sequences are padded on the left; padding is never attended to and not counted in positions, so a sequence
    gets the logits that it would get alone. A window holds at most `context_length` tokens: a longer start keeps
    its last ones, and a window that is full drops its oldest half and is read anew, so that generation goes on
    without end. When this happens depends on the sequence alone, not on its neighbours.

    Args:
        model: In `eval` mode.
        starts: The tokens of each sequence, one at least.
        pad_id: Fills shorter rows.
        max_new_tokens: Tokens that will be appended to each at most; it sizes the cache.
    """

    def __init__(self, model: Decoder, starts: Sequence[Sequence[int]], pad_id: int, max_new_tokens: int) -> None:
        self.model, self.pad_id = model, pad_id
        self.context_length = model.config.context_length
        self.windows = [list(start[-self.context_length :]) for start in starts]
        self.remaining = max_new_tokens
        self._device = next(chain(model.parameters(), model.buffers())).device
        self._cache = self._no_cache()
        self._padding_BT: Tensor | None = None

    # not inference_mode: the model keeps its rotary table, and training could not use one made there
    @torch.no_grad()
    def next_logits(self) -> Tensor:
        """Logits for the token after each window: (batch, vocab) float32. Called once between two `append`."""
        if self._cache.length >= self._cache.max_length:
            tokens_BT = self._start_over()
        else:
            tokens_BT = torch.tensor([[window[-1]] for window in self.windows], device=self._device)
        padding_BT = self._padding_BT
        if padding_BT is not None:
            padding_BT = padding_BT[:, : self._cache.length + tokens_BT.shape[1]]
        logits_B1V: Tensor = self.model(tokens_BT, cache=self._cache, padding_BT=padding_BT, last_only=True)
        return logits_B1V[:, 0]

    def append(self, tokens: Sequence[int]) -> None:
        """Add one token to each window; full windows drop their oldest half first."""
        self.remaining -= 1
        for window, token in zip(self.windows, tokens, strict=True):
            if len(window) >= self.context_length:
                del window[: self.context_length // 2]
                self._cache = self._no_cache()
            window.append(token)

    def keep(self, rows: list[int]) -> None:
        """Go on with these sequences only."""
        self.windows = [self.windows[row] for row in rows]
        self._cache.select(rows)
        if self._padding_BT is not None:
            self._padding_BT = self._padding_BT[rows]

    def _no_cache(self) -> StaticCache:
        """A cache without room: the next forward pass starts over."""
        return StaticCache(len(self.model.config.cached_layers), 0)

    def _start_over(self) -> Tensor:
        """Empty the cache and lay out all windows, padded on the left: (batch, longest) int64."""
        lengths = [len(window) for window in self.windows]
        longest = max(lengths)
        capacity = min(self.context_length, longest + self.remaining)
        self._cache = StaticCache(len(self.model.config.cached_layers), capacity)
        self._padding_BT = None
        if min(lengths) < longest:
            columns = torch.arange(capacity, device=self._device)[None, :]
            self._padding_BT = columns >= torch.tensor([longest - n for n in lengths], device=self._device)[:, None]
        rows = [[self.pad_id] * (longest - len(window)) + window for window in self.windows]
        return torch.tensor(rows, device=self._device)
