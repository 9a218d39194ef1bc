"""The cache against plain concatenation."""

from __future__ import annotations

import pytest
import torch

from model.errors import GenerationError
from model.generation.cache import StaticCache


def test_update_returns_all_that_was_added() -> None:
    generator = torch.Generator().manual_seed(0)
    cache, expected = StaticCache(n_layers=2, max_length=9), [torch.empty(3, 2, 0, 4)] * 2
    for new in (5, 1, 3):
        for layer in range(2):
            k = torch.randn(3, 2, new, 4, generator=generator)
            expected[layer] = torch.cat((expected[layer], k), dim=2)
            k_all, v_all = cache.update(layer, k, -k)
            assert torch.equal(k_all, expected[layer])
            assert torch.equal(v_all, -expected[layer])
        cache.advance(new)
    assert cache.length == 9


def test_selected_rows_go_on_in_their_order() -> None:
    cache = StaticCache(n_layers=1, max_length=3)
    first = torch.arange(4.0).reshape(4, 1, 1, 1)
    cache.update(0, first, first)
    cache.advance(1)
    cache.select([3, 1])
    k_all, _ = cache.update(0, torch.tensor([7.0, 8.0]).reshape(2, 1, 1, 1), torch.zeros(2, 1, 1, 1))
    assert k_all.flatten().tolist() == [3, 7, 1, 8]


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    cache = StaticCache(n_layers=1, max_length=4)
    with pytest.raises(GenerationError, match="cache of 4 tokens: 5 do not fit"):
        cache.update(0, torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5, 2))
