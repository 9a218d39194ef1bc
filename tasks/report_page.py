"""Gather what the stages have reported into the facts of the HTML page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.evaluation.report import Figure, FunnelStep, ReportFacts
from model.evaluation.tables import number
from tasks.params import Params, flatten
from tasks.report import StageReport, read_report

STAGES = ("ingest", "clean", "tokenizer", "tokenize", "datasheet", "pretrain", "evaluate", "quantize", "publish")
TOKENIZER_COLUMNS = ("split", "bytes_per_token", "fertility", "vocabulary_use", "documents", "words", "tokens", "bytes")
QUANTIZATION_COLUMNS = (
    "weights",
    "size_mb",
    "bits_per_byte",
    "perplexity",
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
)
DATA_TABLES = (
    "Languages",
    "Personal data",
    "Near-duplicates",
    "Near-duplicates kept on one side",
    "Splits by time",
    "Training text in benchmarks and in the test split",
)
SPLIT_USES = {"train": "training", "validation": "validation", "test": "test"}


def collect_report(
    reports: Path,
    params: Params,
    extra: Mapping[str, StageReport] | None = None,
    *,
    provenance: Mapping[str, str] | None = None,
    stages: Sequence[str] = STAGES,
) -> ReportFacts:
    """The facts of a run from `data/reports`; a stage that has no report yet is left out.

    Args:
        reports: `data/reports`.
        params: The run's parameters.
        extra: Reports that are not written yet, by stage: a stage that makes the page passes its own.
        provenance: Commits, digests, versions; shown as they are.
        stages: Stages to read from the folder, e.g. only those before the one that makes the page.

    Raises:
        IntegrityError: A report is damaged.
    """
    found = {name: read_report(reports, name) for name in stages if (reports / name / "details.json").is_file()}
    found |= extra or {}
    evaluated, quantized = found.get("evaluate"), found.get("quantize")
    bits = _bits(evaluated)
    return ReportFacts(
        title="TissLM report",
        summary="; ".join(found[name].headline for name in ("pretrain", "evaluate") if name in found),
        figures=_figures(found),
        loss=_series(reports / "pretrain" / "loss.csv") if "pretrain" in found else [],
        mixture=_table(found.get("pretrain"), "Mixture"),
        validation_losses=_table(found.get("pretrain"), "Validation loss by group"),
        bits_per_byte=bits,
        splits=_table(evaluated, "Splits", ("split", "bits_per_byte", "perplexity", "tokens", "bytes")),
        worst_documents=_table(evaluated, "Worst test documents", ("id", "bits_per_byte", "tokens", "bytes")),
        samples=evaluated.facts.get("samples", []) if evaluated else [],
        funnel=_funnel(found.get("ingest"), found.get("clean")),
        lengths=_series(reports / "clean" / "lengths_before_after.csv") if "clean" in found else [],
        data={title: rows for title in DATA_TABLES if (rows := _table(found.get("clean"), title))},
        tokenizer=_table(found.get("tokenizer"), "Splits", TOKENIZER_COLUMNS),
        tokenizer_notes=_measured(found.get("tokenizer")),
        quantization=_table(quantized, "Float32 and int8", QUANTIZATION_COLUMNS),
        quantization_notes=quantized.facts.get("notes", []) if quantized else [],
        stages=[
            {
                "stage": name,
                "result": report.headline,
                "seconds": report.metrics.get("seconds"),
                "peak_memory_mb": report.metrics.get("peak_memory_mb"),
            }
            for name, report in sorted(found.items(), key=lambda item: STAGES.index(item[0]))
        ],
        notes=evaluated.facts.get("notes", []) if evaluated else [],
        configuration={section: flatten(values) for section, values in params.model_dump(mode="json").items()},
        changed=_changed(params),
        provenance={"params.yaml": f"sha256 {params.digest}", **_digests(evaluated), **(provenance or {})},
    )


def _figures(found: Mapping[str, StageReport]) -> list[Figure]:
    """The main numbers, of those stages that have them."""
    metrics = {f"{stage}.{name}": value for stage, report in found.items() for name, value in report.metrics.items()}
    rivals = _bits(found.get("evaluate"))[1:]
    best = min(rivals, key=lambda bar: bar[1], default=None)
    speed = metrics.get("pretrain.tokens_per_second")
    delta = metrics.get("quantize.delta_bpb")
    cost = f"{delta:+.4f} bits per byte" if delta is not None else ""
    figures: list[tuple[str, str, Callable[[float], str], str]] = [
        ("evaluate.test_bits_per_byte", "bits per byte, test", "{:.3f}".format, _beside(best)),
        ("evaluate.test_perplexity", "perplexity, test", number, "per token; depends on the tokenizer"),
        ("pretrain.parameters", "parameters", _short, ""),
        ("pretrain.tokens", "training tokens", _short, f"{number(speed)} per second" if speed else ""),
        ("quantize.size_ratio", "int8 size", "{:.0%}".format, cost),
    ]
    return [Figure(name, form(metrics[key]), note) for key, name, form, note in figures if key in metrics]


def _beside(best: tuple[str, float] | None) -> str:
    return f"best compressor: {best[0]}, {best[1]:.3f}" if best else ""


def _bits(evaluated: StageReport | None) -> list[tuple[str, float]]:
    rows = _table(evaluated, "Bits per byte of the test text")
    return [(str(row["name"]), float(row["bits_per_byte"])) for row in rows]


def _table(report: StageReport | None, title: str, chosen: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """The rows of a table, their columns in the order of `chosen` (JSON keeps none), or as they are without it."""
    rows = report.tables.get(title, []) if report else []
    return [{name: row[name] for name in chosen or row if name in row} for row in rows]


def _measured(trained: StageReport | None) -> list[str]:
    limit = trained.facts.get("measured_characters_per_split") if trained else None
    return [f"measured on at most {limit:,} characters of each split"] if limit else []


def _series(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _funnel(ingested: StageReport | None, cleaned: StageReport | None) -> list[FunnelStep]:
    """From what the sources hold to the splits; a step that a report does not count is left out."""
    steps: list[tuple[str, Any, str, str]] = []
    if ingested:
        for reason, counts in ingested.facts.get("set_aside", {}).items():
            note = "files, lines or rows that cannot be read"
            steps.append((f"set aside: {reason}", counts["files"] + counts["records"], "lost", note))
        left_out = ingested.metrics.get("documents_not_chosen") or None
        steps.append(("not chosen", left_out, "lost", "beyond ingest.max_documents"))
    if cleaned:
        metrics = cleaned.metrics
        steps.append(("documents read", metrics.get("documents"), "in", ""))
        for row in _table(cleaned, "Waterfall")[1:-1]:
            if row["documents"]:
                step = str(row["step"])
                steps.append((f"dropped: {step.replace('_', ' ')}", row["documents"], "lost", _reasons(cleaned, step)))
        steps.append(("documents kept", metrics.get("kept"), "kept", ""))
        for split, use in SPLIT_USES.items():
            size = metrics.get(f"{split}_bytes")
            note = f"{_short(size)}B of text" if size else ""
            steps.append((f"for {use}", metrics.get(f"{split}_documents"), "kept", note))
    return [FunnelStep(name, int(count), kind, note) for name, count, kind, note in steps if count is not None]


def _reasons(cleaned: StageReport, step: str) -> str:
    """Why a step dropped documents: the meaning of its only reason, or its reasons with their counts."""
    rows = [r for r in _table(cleaned, "Dropped, by reason") if str(r["reason"]).partition(".")[0] == step]
    if len(rows) == 1:
        return str(rows[0].get("meaning", ""))
    return "; ".join(f"{r['documents']:,} {str(r['reason']).partition('.')[2].replace('_', ' ')}" for r in rows)


def _changed(params: Params) -> frozenset[str]:
    default = Params().flat()
    return frozenset(name for name, value in params.flat().items() if name not in default or default[name] != value)


def _digests(evaluated: StageReport | None) -> dict[str, str]:
    facts = evaluated.facts if evaluated else {}
    names = {"tokenizer_digest": "tokenizer", "test_digest": "test documents"}
    return {label: f"sha256 {facts[key]}" for key, label in names.items() if key in facts}


def _short(count: float) -> str:
    """A count as people say it: `3.1 M`."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f} {name}"
    return str(int(count))
