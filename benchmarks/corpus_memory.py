"""Peak memory of the stages that read a whole corpus, each in a process of its own, on a synthetic corpus.

    python benchmarks/corpus_memory.py --gigabytes 2        # 2 GB: some 700,000 documents, one of them 200 MB on a line
    python benchmarks/corpus_memory.py --gigabytes 0.3 --stages ingest clean

The corpus is made of JSON lines and text files in a temporary folder that is removed afterwards. Memory is the largest
resident size that the process has had, as the operating system counts it; what an interpreter with the stage's imports
takes is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PREPARE = """
import resource, sys
from pathlib import Path
from tasks.journal import NullJournal
from tasks.params import parse_params
from tasks.stage import peak_memory_bytes
params = parse_params({"ingest": {"sources": [{"path": "corpus"}]}})
root = Path.cwd()
report_folder = root / "reports"
report_folder.mkdir(exist_ok=True)
"""
FINISH = """
print(report.headline)
print(peak_memory_bytes())
"""
STAGES = {
    "ingest": "from tasks.ingest import ingest\nreport = ingest(params.ingest, root / 'raw', NullJournal(), root)",
    "clean": "from tasks.clean import clean\n"
    "report = clean(params.clean, root / 'raw', root / 'clean', NullJournal(), report_folder)",
    "tokenizer": "import inspect\nfrom tasks.tokenizer import tokenizer\n"
    "have = dict(config=params.tokenizer, clean=root / 'clean', out=root / 'tokenizer', journal=NullJournal(),"
    " report_folder=report_folder, workers=2, params=params, root=root)\n"
    "report = tokenizer(**{k: have[k] for k in inspect.signature(tokenizer).parameters})",
    "tokenize": "import inspect\nfrom tasks.tokenize import tokenize\n"
    "have = dict(config=params.tokenize, clean=root / 'clean', tokenizer=root / 'tokenizer', out=root / 'tokens',"
    " journal=NullJournal(), report_folder=report_folder, workers=2, params=params, root=root)\n"
    "report = tokenize(**{k: have[k] for k in inspect.signature(tokenize).parameters})",
}


def make_corpus(folder: Path, n_bytes: int) -> None:
    """About `n_bytes` of random words: nine tenths in JSON lines, the rest in one text file without a line end."""
    folder.mkdir()
    rng = random.Random(0)  # noqa: S311
    words = [f"{rng.choice('bcdfgklmnprst')}{i:x}é" if i % 50 == 0 else f"w{i:x}" for i in range(60_000)]
    written = 0
    for shard in range(10):
        with open(folder / f"{shard}.jsonl", "w", encoding="utf-8") as file:
            start = written
            while written - start < n_bytes * 0.09:
                text = " ".join(rng.choices(words, k=rng.randint(50, 1000)))
                written += file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    with open(folder / "one-line.txt", "w", encoding="utf-8") as file:
        size = 0
        while size < n_bytes * 0.1:
            size += file.write(" ".join(rng.choices(words, k=10_000)) + " ")


def run(code: str, folder: Path) -> tuple[str, int, float]:
    """Run code in a fresh process; its last two lines: a headline, and its peak memory in bytes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "GX_ANALYTICS_ENABLED": "false"}
    started = time.monotonic()
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"failed:\n{done.stderr[-3000:]}")
    *_, headline, peak = done.stdout.strip().splitlines()
    return headline, int(peak), time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="a tenth of a gigabyte")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tisslm-corpus-") as name:
        folder = Path(name)
        make_corpus(folder / "corpus", int((0.1 if arguments.quick else arguments.gigabytes) * 1e9))
        size = sum(path.stat().st_size for path in (folder / "corpus").iterdir())
        print(f"corpus: {size / 1e9:.2f} GB\n{'stage':10} {'peak MB':>8} {'imports MB':>11} {'seconds':>8}  did")
        for stage in arguments.stages:
            imports = PREPARE + STAGES[stage].split("report = ")[0].split("have = ")[0]
            if stage == "clean":
                imports += "import great_expectations\n"
            _, idle, _ = run(imports + "print(1)\nprint(peak_memory_bytes())", folder)
            headline, peak, seconds = run(PREPARE + STAGES[stage] + FINISH, folder)
            print(f"{stage:10} {peak / 1e6:8.0f} {idle / 1e6:11.0f} {seconds:8.0f}  {headline}", flush=True)


if __name__ == "__main__":
    main()
