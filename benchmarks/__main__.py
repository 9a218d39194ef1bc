"""Run every benchmark: `python -m benchmarks [--quick] [--only WORD] [--json FILE]` (or `make bench`).

A benchmark is a module beside this one with a function `main`. `main(quick: bool) -> list[dict]` returns its results as
rows, each a figure and what it is measured against; a `main()` that reads `--quick` from its arguments and prints its
results itself does as well. Each runs in a process of its own, so that none pays for another's memory or imports. The
exit code is 1 if any of them failed.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def benchmark_names(word: str = "") -> list[str]:
    """The modules beside this one that define `main`, their names containing `word`."""
    files = sorted(path for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    return [
        path.stem for path in files if "\ndef main(" in "\n" + path.read_text(encoding="utf-8") and word in path.stem
    ]


def run_one(name: str, quick: bool, target: Path) -> None:
    """Run one benchmark in this process and leave its rows in `target`."""
    function = importlib.import_module(f"benchmarks.{name}").main
    sys.argv = [name, *(["--quick"] if quick else [])]
    rows = function(quick) if inspect.signature(function).parameters else function()
    if isinstance(rows, list):
        target.write_text(json.dumps(rows, default=str), encoding="utf-8")
    elif rows:
        sys.exit(rows)


def run_apart(name: str, quick: bool) -> dict[str, Any]:
    """Run one benchmark in a process of its own: its rows, its seconds, and whether it ended well."""
    with tempfile.TemporaryDirectory(prefix="tisslm-bench-") as folder:
        target = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks", "--one", name, "--into", str(target)]
        started = time.monotonic()
        done = subprocess.run([*command, *(["--quick"] if quick else [])], cwd=HERE.parent, check=False)
        rows = json.loads(target.read_text(encoding="utf-8")) if target.exists() else []
    seconds = round(time.monotonic() - started, 1)
    return {"benchmark": name, "ok": done.returncode == 0, "seconds": seconds, "rows": rows}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }


def show(result: dict[str, Any]) -> None:
    """Print one benchmark's rows as a table that also reads as Markdown."""
    print(f"\n## {result['benchmark']} ({result['seconds']} s{'' if result['ok'] else ', FAILED'})", flush=True)
    columns = list(dict.fromkeys(key for row in result["rows"] for key in row))
    if columns:
        print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in result["rows"]:
        cells = [f"{row[c]:.4g}" if isinstance(row.get(c), float) else str(row.get(c, "")) for c in columns]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> int:
    """Run what was asked for and print every result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Every figure a ratio against a peer.")
    parser.add_argument("--quick", action="store_true", help="smaller inputs, fewer repetitions: to see that it runs")
    parser.add_argument("--only", default="", metavar="WORD", help="only benchmarks with this word in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.quick, arguments.into)
        return 0
    names = benchmark_names(arguments.only)
    if arguments.list or not names:
        print("\n".join(names) or f"there is no benchmark with {arguments.only!r} in its name")
        return 0 if names else 1
    print("machine: " + ", ".join(f"{key} {value}" for key, value in machine().items()), flush=True)
    results = []
    for name in names:
        results.append(run_apart(name, arguments.quick))
        show(results[-1])
    if arguments.json:
        content = {"machine": machine(), "quick": arguments.quick, "results": results}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
