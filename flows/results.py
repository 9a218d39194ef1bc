"""What came out of the last run, from the reports under data/: a table, a sample, where to look next."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.errors import IntegrityError
from model.files import read_json
from tasks.graph import REPORTS

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Results:
    """The figures of a workspace that people ask for first.

    Attributes:
        rows: `{"figure": ..., "value": ..., "note": ...}` in order.
        prompt: The prompt of the sample; the sample is empty if there is none.
        sample: What the model said to it.
        page: The HTML report, if there is one.
        aliases: What the registry calls the version: candidate, champion.
    """

    rows: Rows = field(default_factory=list)
    prompt: str = ""
    sample: str = ""
    page: Path | None = None
    aliases: tuple[str, ...] = ()


def collect_results(root: Path) -> Results:
    """Read the results that exist; stages that have not run leave their rows out."""
    evaluation = _json(root / "data" / "evaluated" / "evaluation.json")
    rows = [*_score_rows(evaluation), *_metric_rows(root)]
    prompt, sample = _first_sample(evaluation)
    facts = _json(root / REPORTS / "publish" / "details.json").get("facts", {})
    return Results(rows, prompt, sample, html_report(root), tuple(facts.get("aliases") or ()))


def html_report(root: Path) -> Path | None:
    """The HTML report of the whole run."""
    pages = [root / REPORTS / stage / "report.html" for stage in ("publish", "evaluate")]
    return next((page for page in pages if page.is_file()), None)


def show_results(console: Console, root: Path, results: Results) -> None:
    """Print the table, the sample, and what to do next."""
    if results.rows:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for row in results.rows:
            table.add_row(*(Text(cell) for cell in (str(row["figure"]), _number(row["value"]), str(row["note"]))))
        console.print(table)
    if results.sample:
        console.print(Text("sample: ", style="bold").append(results.prompt, style="dim not bold"), end="")
        console.print(Text(results.sample.rstrip()), highlight=False)
        console.print()
    console.print("next:")
    for step in _next_steps(root, results):
        console.print(f"  {step}", highlight=False, markup=False)


def _next_steps(root: Path, results: Results) -> list[str]:
    steps = []
    if (root / "data" / "published").is_dir():
        which = "" if "champion" in results.aliases else " --model candidate"
        steps.append(f'tisslm generate{which} "The state of the Union is"   text from the registered model')
    if results.page is not None:
        steps.append(f"{results.page}   the report, opens without a network")
    make = "make ui   " if (root / "Makefile").is_file() else "tisslm ui "
    return [*steps, f"{make}   MLflow and Prefect in the browser, with all runs so far"]


def _score_rows(evaluation: dict[str, Any]) -> Rows:
    rows: Rows = []
    scores = evaluation.get("scores", {})
    ours = scores.get("test", {}).get("bits_per_byte")
    if ours is None:
        return rows
    rows.append({"figure": "test text", "value": float(ours), "note": "bits per byte, less is better"})
    for name, value in evaluation.get("baselines", {}).items():
        share = 100 * (1 - ours / value)
        verdict = f"the model needs {abs(share):.1f} % {'less' if share > 0 else 'more'}"
        rows.append({"figure": f"  {name}, primed", "value": float(value), "note": verdict})
    return rows


def _metric_rows(root: Path) -> Rows:
    rows: Rows = []
    evaluated, quantized, published = (_json(root / REPORTS / f"{n}.json") for n in ("evaluate", "quantize", "publish"))
    if "test_perplexity" in evaluated:
        rows.append({"figure": "test perplexity", "value": float(evaluated["test_perplexity"]), "note": "per token"})
    if "parameters" in evaluated:
        rows.append({"figure": "parameters", "value": evaluated["parameters"], "note": ""})
    if {"int8_bytes", "size_ratio"} <= set(quantized):
        whole = quantized["int8_bytes"] / max(quantized["size_ratio"], 1e-9) / 1e6
        note = f"MB; as int8 {quantized['int8_bytes'] / 1e6:.1f} MB ({quantized['size_ratio']:.0%})"
        rows.append({"figure": "size", "value": f"{whole:.1f}", "note": note})
    if "delta_bpb" in quantized:
        rows.append({"figure": "int8 costs", "value": f"{quantized['delta_bpb']:+.4f}", "note": "bits per byte"})
    if "version" in published:
        facts = _json(root / REPORTS / "publish" / "details.json").get("facts", {})
        aliases = ", ".join(facts.get("aliases") or ["no alias"])
        verdict = f"; {facts['verdict']}" if facts.get("verdict") else ""
        rows.append({"figure": "registry version", "value": published["version"], "note": f"{aliases}{verdict}"})
    return rows


def _first_sample(evaluation: dict[str, Any]) -> tuple[str, str]:
    for sample in evaluation.get("samples", []):
        if isinstance(sample, dict) and sample.get("text"):
            return str(sample.get("prompt", "")), str(sample["text"])
    return "", ""


def _json(path: Path) -> dict[str, Any]:
    with contextlib.suppress(IntegrityError):
        value = read_json(path)
        return value if isinstance(value, dict) else {}
    return {}


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
