"""Small model folders as the pretrain stage finishes them."""

from __future__ import annotations

from pathlib import Path

import torch

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import save_model
from model.files import write_manifest
from model.tokenizer.tokenizer import Tokenizer


def model_folder(folder: Path, tokenizer: Tokenizer, *, tied: bool) -> Path:
    """A finished folder: random weights, the tokenizer, a manifest."""
    shape = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        n_layers=2,
        d_model=32,
        n_heads=4,
        n_kv_heads=2,
        d_ff=48,
        context_length=64,
        tie_embeddings=tied,
    )
    network = Decoder(shape)
    initialize(network, torch.Generator().manual_seed(7))
    save_model(network, folder)
    tokenizer.save(folder)
    write_manifest(folder)
    return folder
