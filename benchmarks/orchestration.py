"""What the orchestration costs: commands that have nothing to do, and the flow beside plain `dvc repro`.

A copy of this repository with a toy corpus and a toy network is brought up to date once; then whole commands are timed
from outside. The peer is plain `dvc repro` in the same workspace.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tasks.settings import TELEMETRY_OFF

REPOSITORY = Path(__file__).resolve().parent.parent
COPIED = ("model", "tasks", "flows", "cli", ".dvc/config", ".dvcignore", ".gitignore", "data/.gitignore")
COPIED_FILES = ("dvc.yaml", "params.yaml")
TOY = (
    "ingest.sources=[{path: texts}]",
    "clean.validation_fraction=0.2",
    "clean.test_fraction=0.2",
    "tokenizer.vocab_size=300",
    "pretrain.steps=20",
    "pretrain.warmup_steps=2",
    "pretrain.model.n_layers=1",
    "pretrain.model.d_model=32",
    "pretrain.model.n_heads=2",
    "pretrain.model.n_kv_heads=2",
    "pretrain.model.d_ff=64",
    "pretrain.model.context_length=32",
    "publish.max_bits_per_byte=16",
)
WORDS = "river stone cloud garden letter winter bridge candle silver harbour morning village apple teacher window"


def make_workspace(root: Path) -> None:
    """A toy workspace in an empty folder."""
    for name in (*COPIED, *COPIED_FILES):
        source, target = REPOSITORY / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    words = WORDS.split()
    draw = random.Random(0)  # noqa: S311 - texts, not secrets
    (root / "texts").mkdir()
    for number in range(40):
        text = " ".join(draw.choice(words) for _ in range(400))
        (root / "texts" / f"{number:02}.txt").write_text(text, encoding="utf-8")


def seconds_of(command: list[str], root: Path, repeats: int, **more: str) -> float:
    """The median wall time of a command that must succeed."""
    folder = Path(sys.executable).parent
    environment = {**os.environ, **TELEMETRY_OFF, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **more}
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - started)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return statistics.median(times)


def main(quick: bool) -> list[dict[str, Any]]:
    """Measure; `quick` repeats less."""
    repeats = 1 if quick else 5
    python = sys.executable
    tisslm, dvc = [python, "-m", "cli.main"], [python, "-m", "dvc"]
    with tempfile.TemporaryDirectory(prefix="tisslm-bench-") as name:
        root = Path(name)
        make_workspace(root)
        first = seconds_of([*tisslm, "run", *(word for value in TOY for word in ("--set", value))], root, 1)
        nothing = seconds_of([python, "-c", "pass"], root, repeats)
        helped = seconds_of([*tisslm, "--help"], root, repeats)
        idle_dvc = seconds_of([*dvc, "repro"], root, repeats)
        idle_run = seconds_of([*tisslm, "run"], root, repeats)
        forced_dvc = seconds_of([*dvc, "repro", "--force"], root, 1 if quick else 3)
        forced_run = seconds_of([*tisslm, "run", "--force"], root, 1 if quick else 3)
    stages = 8
    return [
        {"what": "tisslm --help", "seconds": helped, "peer": "python -c pass", "ratio": helped / nothing},
        {"what": "dvc repro, nothing to do", "seconds": idle_dvc, "peer": "", "ratio": 1.0},
        {"what": "tisslm run, nothing to do", "seconds": idle_run, "peer": "dvc repro", "ratio": idle_run / idle_dvc},
        {"what": "first tisslm run of the toy pipeline", "seconds": first, "peer": "", "ratio": ""},
        {"what": "dvc repro --force, 8 stages", "seconds": forced_dvc, "peer": "", "ratio": 1.0},
        {
            "what": "tisslm run --force, 8 stages (its own Prefect server)",
            "seconds": forced_run,
            "peer": "dvc repro --force",
            "ratio": forced_run / forced_dvc,
        },
        {"what": "flow over dvc, per stage", "seconds": (forced_run - forced_dvc) / stages, "peer": "", "ratio": ""},
    ]
