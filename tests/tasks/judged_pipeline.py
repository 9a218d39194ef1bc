"""A pipeline up to `pretrain` on toy texts, small enough to be judged in a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import save_model
from model.corpus.documents import Document, DocumentWriter
from model.dataset.shards import ShardWriter
from model.files import write_manifest
from model.tokenizer.tokenizer import Tokenizer

SPLITS = {"train": range(12), "validation": range(12, 16), "test": range(16, 24)}


@dataclass(frozen=True)
class JudgedPipeline:
    """The folders under `data/` that `evaluate` and `quantize` read."""

    data: Path

    @property
    def inputs(self) -> dict[str, Path]:
        """By the names of the stages' arguments."""
        return {name: self.data / name for name in ("clean", "pretrained", "tokens")}

    def folder(self, name: str) -> Path:
        """An existing folder under `data/`."""
        folder = self.data / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def judged_pipeline(
    data: Path, weights_std: float = 0.05, tokenizer: Tokenizer | None = None, change: Callable[[str], str] = str
) -> JudgedPipeline:
    """Write documents, each one changed, their tokens, and a model with random weights."""
    pipeline, tokenizer = JudgedPipeline(data), tokenizer or small_tokenizer()
    for split, numbers in SPLITS.items():
        with (
            DocumentWriter(pipeline.folder(f"clean/{split}")) as documents,
            ShardWriter(pipeline.folder(f"tokens/{split}"), tokenizer) as shards,
        ):
            for number in numbers:
                text = change(toy_text(number)[: 200 + 20 * number] + " naïve 語")
                documents.write(Document(id=f"toy/{number}", text=text, source="toy", language="en"))
                shards.append(tokenizer.encode(text), len(text.encode()))
    shape = {"n_layers": 2, "d_model": 64, "n_heads": 2, "n_kv_heads": 1, "d_ff": 128, "context_length": 32}
    model = Decoder(ModelConfig(vocab_size=tokenizer.vocab_size, **shape))
    initialize(model, torch.Generator().manual_seed(0), std=weights_std)
    save_model(model, pipeline.folder("pretrained"))
    tokenizer.save(pipeline.folder("pretrained"))
    for name in ("clean", "tokens", "pretrained"):
        write_manifest(pipeline.folder(name))
    return pipeline
