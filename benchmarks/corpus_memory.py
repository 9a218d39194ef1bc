"""Peak memory and speed of the stages that read a whole corpus, on synthetic corpora of growing size.

    python -m benchmarks.corpus_memory --gigabytes 1 2 4     # what grows with the corpus, and how
    python -m benchmarks.corpus_memory --quick               # a tenth of a gigabyte, to see that it runs

Each stage runs as `python -m tasks STAGE` in a temporary copy of this workspace, with the params of the default
pipeline and two workers. The corpus is JSON lines (nine tenths, documents of 0.3 to 6 kB) and one text file without a
line end, made of sentences of a Zipf-like vocabulary. Memory is the largest sum over the stage's processes of their
proportional set sizes (what is shared counts once), sampled every 0.2 s; beside it the largest resident size of one
process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
CODE = ("model", "tasks", "flows", "cli")
STAGES = ("ingest", "clean", "tokenizer", "tokenize")
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu br cl st pr".split()  # noqa: SIM905


def sentences(rng: random.Random, n: int) -> list[str]:
    """Sentences over a vocabulary of 50,000 words whose frequencies fall like those of a language."""
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 5))) for _ in range(50_000)]
    words[::40] = [f"{word}é" for word in words[::40]]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [" ".join(rng.choices(words, weights, k=rng.randint(6, 24))).capitalize() + "." for _ in range(n)]


def make_corpus(folder: Path, n_bytes: int) -> int:
    """About `n_bytes` of text in ten files of JSON lines and one of plain text; returns the bytes written."""
    folder.mkdir()
    rng = random.Random(0)  # noqa: S311
    stock = sentences(rng, 40_000)
    for shard in range(10):
        size = 0
        with open(folder / f"{shard}.jsonl", "w", encoding="utf-8") as file:
            while size < n_bytes * 0.09:
                text = " ".join(rng.choices(stock, k=rng.randint(4, 60)))
                size += file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    with open(folder / "one-line.txt", "w", encoding="utf-8") as file:
        size = 0
        while size < n_bytes * 0.1:
            size += file.write(" ".join(rng.choices(stock, k=1000)) + " ")
    return sum(path.stat().st_size for path in folder.iterdir())


def make_workspace(folder: Path) -> None:
    """A workspace with this code whose only source is the folder `corpus`."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copy2)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"]["sources"] = [{"path": "corpus"}]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


@dataclass
class Usage:
    """What a stage took.

    Attributes:
        together_bytes: Largest sum of the proportional set sizes of its processes.
        one_bytes: Largest resident size of one of them.
        cpu_s: Processor seconds of all of them.
        wall_s: Seconds.
    """

    together_bytes: int = 0
    one_bytes: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0


def run_stage(stage: str, folder: Path) -> Usage:
    """Run one stage in a workspace and watch its processes."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "TISSLM_TRACKING": "off", "TISSLM_PROGRESS": "none"}
    started, usage = time.monotonic(), Usage()
    before = os.times()
    with open(folder / f"{stage}.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks", stage], cwd=folder, env=environment, stdout=log, stderr=log
        )
        while process.poll() is None:
            together = 0
            for one in _family(process.pid):
                try:
                    memory = one.memory_full_info()
                except psutil.Error:
                    continue
                together += getattr(memory, "pss", memory.rss)
                usage.one_bytes = max(usage.one_bytes, memory.rss)
            usage.together_bytes = max(usage.together_bytes, together)
            time.sleep(0.2)
    if process.returncode:
        sys.exit(f"stage {stage} failed:\n{(folder / f'{stage}.log').read_text(encoding='utf-8')[-3000:]}")
    after = os.times()
    usage.cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    usage.wall_s = time.monotonic() - started
    return usage


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def measure(gigabytes: float) -> list[dict[str, Any]]:
    """One row for each stage on a corpus of this size."""
    with tempfile.TemporaryDirectory(prefix="tisslm-corpus-") as name:
        folder = Path(name)
        make_workspace(folder)
        size = make_corpus(folder / "corpus", int(gigabytes * 1e9))
        rows = []
        for stage in STAGES:
            usage = run_stage(stage, folder)
            report = json.loads((folder / "data" / "reports" / stage / "details.json").read_text(encoding="utf-8"))
            rows.append(
                {
                    "GB": round(size / 1e9, 2),
                    "stage": stage,
                    "peak MB together": round(usage.together_bytes / 1e6),
                    "peak MB of one process": round(usage.one_bytes / 1e6),
                    "CPU s": round(usage.cpu_s, 1),
                    "wall s": round(usage.wall_s, 1),
                    "MB per CPU s": round(size / 1e6 / usage.cpu_s, 2),
                    "did": report["headline"],
                }
            )
            print(rows[-1], flush=True)
        return rows


def main() -> list[dict[str, Any]]:
    """Measure corpora of the sizes on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--quick", action="store_true", help="a tenth of a gigabyte")
    arguments = parser.parse_args()
    return [row for size in ([0.1] if arguments.quick else arguments.gigabytes) for row in measure(size)]


if __name__ == "__main__":
    main()
