"""Small finished pipelines up to `publish`: real tokenizer, real weights, real folders, without the training."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import save_model
from model.compression.quantize import quantize_int8
from model.compression.storage import save_quantized
from model.corpus.documents import Document, DocumentWriter
from model.files import canonical_json, sha256_text, write_json, write_manifest
from tasks.graph import REPORTS
from tasks.journal import NullJournal
from tasks.params import Params, parse_params
from tasks.publish import publish
from tasks.report import StageReport, write_report

HERE = Path(__file__).resolve().parent
FOLDERS = ("clean", "evaluated", "pretrained", "quantized")


@dataclass(frozen=True)
class SmallPipeline:
    """A workspace in which everything before `publish` is done."""

    root: Path
    params: Params

    def folder(self, name: str) -> Path:
        """A folder under `data/`."""
        return self.root / "data" / name

    def publish(self) -> StageReport:
        """Publish in this process."""
        out = self.folder("published")
        report_folder = self.root / REPORTS / "publish"
        for folder in (out, report_folder):
            folder.mkdir(parents=True, exist_ok=True)
        report = publish(
            self.params.publish,
            **{name: self.folder(name) for name in FOLDERS},
            out=out,
            journal=NullJournal(),
            reports=self.root / REPORTS,
            report_folder=report_folder,
            params=self.params,
            root=self.root,
        )
        write_report(report, self.root / REPORTS / "publish.json", report_folder)
        return report

    def train(self, seed: int) -> None:
        """Put other weights in place."""
        network = Decoder(small_shape())
        initialize(network, torch.Generator().manual_seed(seed))
        for name, save, model in (
            ("pretrained", save_model, network),
            ("quantized", save_quantized, quantize_int8(network)),
        ):
            self.folder(name).mkdir(parents=True, exist_ok=True)
            save(model, self.folder(name))
        small_tokenizer().save(self.folder("pretrained"))
        for name in ("pretrained", "quantized"):
            write_manifest(self.folder(name))

    def judge(self, bits_per_byte: float, texts: list[str] | None = None, trained_on: list[str] | None = None) -> None:
        """Write what `evaluate` would have found, on these test texts, with these training texts."""
        texts = texts or [toy_text(1), toy_text(2)]
        for split, some in (("test", texts), ("train", trained_on or [toy_text(30), toy_text(31)])):
            (self.folder("clean") / split).mkdir(parents=True, exist_ok=True)
            with DocumentWriter(self.folder("clean") / split) as writer:
                for index, text in enumerate(some):
                    writer.write(Document(id=f"toy/{index}", text=text, source="toy", language="en"))
        write_manifest(self.folder("clean"))
        self.folder("evaluated").mkdir(parents=True, exist_ok=True)
        digest = sha256_text(canonical_json([[f"toy/{i}", sha256_text(t)] for i, t in enumerate(texts)]))
        scores = {"test": {"bits_per_byte": bits_per_byte}}
        evaluation = {"test_digest": digest, "predicted_digest": "", "scores": scores}
        write_json(self.folder("evaluated") / "evaluation.json", evaluation)
        write_manifest(self.folder("evaluated"))
        figures: dict[str, dict[str, Any]] = {
            "clean": {
                "documents": 12,
                "kept": 10,
                "train_documents": 6,
                "validation_documents": 2,
                "test_documents": 2,
            },
            "pretrain": {"parameters": 1e5, "tokens": 1000, "seconds": 61.0, "peak_memory_mb": 300.0},
            "evaluate": {"test_bits_per_byte": bits_per_byte, "test_perplexity": 50.0, "seconds": 3.0},
            "quantize": {"delta_bits_per_byte": 0.001},
        }
        for stage, metrics in figures.items():
            folder = self.root / REPORTS / stage
            folder.mkdir(parents=True, exist_ok=True)
            write_report(StageReport(f"{stage} done", metrics), self.root / REPORTS / f"{stage}.json", folder)


def small_shape() -> ModelConfig:
    """A decoder that fits the small tokenizer."""
    return ModelConfig(
        vocab_size=small_tokenizer().vocab_size,
        n_layers=1,
        d_model=16,
        n_heads=2,
        n_kv_heads=1,
        d_ff=32,
        context_length=32,
    )


def small_pipeline(root: Path, **publish_section: Any) -> SmallPipeline:
    """A workspace whose first model has 2.0 bits/byte."""
    section = {"name": "toy", "max_bits_per_byte": 8.0, "min_unseen_test_bytes": 500, **publish_section}
    pipeline = SmallPipeline(root, parse_params({"publish": section}))
    pipeline.train(seed=1)
    pipeline.judge(2.0)
    return pipeline


def run_here(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python that may import this module and `tasks`, in a process of its own."""
    path = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
    )
