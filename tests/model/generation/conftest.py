"""A tiny tokenizer and random decoders with strong opinions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.tokenizer import Tokenizer
from model.tokenizer.training import train_tokenizer


@pytest.fixture(scope="session")
def tiny_tokenizer(toy_texts: list[str]) -> Tokenizer:
    """320 tokens, so that many characters take several."""
    return train_tokenizer(toy_texts, TokenizerConfig(vocab_size=320))


@pytest.fixture(scope="session")
def tiny_decoder(tiny_tokenizer: Tokenizer) -> Callable[..., Decoder]:
    """Makes a random decoder in `eval` mode; a large std makes clear winners, so that rounding picks no token."""

    def make(seed: int = 0, std: float = 0.4, **changes: int) -> Decoder:
        shape = {"n_layers": 2, "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 32}
        model = Decoder(ModelConfig(vocab_size=tiny_tokenizer.vocab_size, **(shape | changes)))
        initialize(model, torch.Generator().manual_seed(seed), std=std)
        return model.eval()

    return make
