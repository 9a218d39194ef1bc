"""Small decoders and splits of tokens to judge them on."""

from __future__ import annotations

from pathlib import Path

import torch
from small_tokenizers import small_tokenizer

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.dataset.shards import ShardWriter, TokenDataset


def judged_decoder(context_length: int = 16, seed: int = 0) -> Decoder:
    """A decoder with opinions: random weights, far larger than fresh ones."""
    shape = {"n_layers": 2, "d_model": 32, "n_heads": 2, "n_kv_heads": 1, "d_ff": 48}
    model = Decoder(ModelConfig(vocab_size=small_tokenizer().vocab_size, context_length=context_length, **shape))
    initialize(model, torch.Generator().manual_seed(seed), std=0.3)
    return model.eval()


def token_split(folder: Path, texts: list[str], split: str = "test") -> TokenDataset:
    """Texts as a split of tokens below `folder`."""
    tokenizer = small_tokenizer()
    with ShardWriter(folder / split, tokenizer) as writer:
        for text in texts:
            writer.append(tokenizer.encode(text), len(text.encode()))
    return TokenDataset.open(folder, split)
