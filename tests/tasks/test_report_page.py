"""From the stages' reports to the facts of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.errors import IntegrityError
from model.evaluation.report import FunnelStep
from tasks.params import Params, parse_params
from tasks.report import StageReport, write_report
from tasks.report_page import collect_report

pytestmark = pytest.mark.feature("EVAL-07")


def leave(reports: Path, stage: str, metrics: dict[str, float], **more: Any) -> None:
    (reports / stage).mkdir(parents=True)
    write_report(StageReport(f"{stage} done", metrics, **more), reports / f"{stage}.json", reports / stage)


def test_nothing_reported_is_an_empty_page(tmp_path):
    facts = collect_report(tmp_path, Params())

    assert (facts.stages, facts.funnel, facts.loss, facts.figures, facts.changed) == ([], [], [], [], frozenset())
    assert set(facts.configuration) == set(Params.model_fields)


def test_funnel_goes_from_what_was_read_to_the_splits_and_adds_up(tmp_path):
    aside = {"bad JSON": {"files": 0, "records": 5}, "not text": {"files": 2, "records": 0}}
    leave(tmp_path, "ingest", {"documents": 10, "documents_not_chosen": 4}, facts={"set_aside": aside})
    splits = {"train_documents": 4, "validation_documents": 1, "test_documents": 1, "train_bytes": 2_500_000}
    dropped = [
        {"reason": "too_short", "documents": 3, "meaning": "fewer characters than min_characters"},
        {"reason": "duplicate", "documents": 1},
    ]
    steps = [("in", 10), ("too_short", 3), ("c4", 0), ("duplicate", 1), ("left", 6)]
    waterfall = [{"step": step, "documents": n} for step, n in steps]
    tables = {"Dropped, by reason": dropped, "Waterfall": waterfall}
    leave(tmp_path, "clean", {"documents": 10, "kept": 6, **splits}, tables=tables)

    funnel = collect_report(tmp_path, Params()).funnel

    assert [(step.name, step.count, step.kind) for step in funnel] == [
        ("set aside: bad JSON", 5, "lost"),
        ("set aside: not text", 2, "lost"),
        ("not chosen", 4, "lost"),
        ("documents read", 10, "in"),
        ("dropped: too short", 3, "lost"),
        ("dropped: duplicate", 1, "lost"),
        ("documents kept", 6, "kept"),
        ("for training", 4, "kept"),
        ("for validation", 1, "kept"),
        ("for test", 1, "kept"),
    ]
    assert FunnelStep("for training", 4, "kept", "2.5 MB of text") in funnel


def test_stages_are_in_the_order_of_the_pipeline_with_seconds_and_memory(tmp_path):
    for stage in ("pretrain", "clean", "ingest"):
        leave(tmp_path, stage, {"seconds": 2.5, "peak_memory_mb": 300.0})

    rows = collect_report(tmp_path, Params()).stages

    assert [row["stage"] for row in rows] == ["ingest", "clean", "pretrain"]
    assert rows[0] == {"stage": "ingest", "result": "ingest done", "seconds": 2.5, "peak_memory_mb": 300.0}


def test_loss_curve_and_figures_come_from_training_and_quantization(tmp_path):
    curve = [
        {"step": 1, "train_loss": 8.0, "validation_loss": ""},
        {"step": 2, "train_loss": 7.0, "validation_loss": 6.5},
    ]
    metrics = {"parameters": 6_163_712, "tokens": 8_192_000, "tokens_per_second": 12_345.6}
    leave(tmp_path, "pretrain", metrics, series={"loss": curve})
    leave(tmp_path, "quantize", {"size_ratio": 0.254, "delta_bpb": -0.00012})

    facts = collect_report(tmp_path, Params())

    assert [row["validation_loss"] for row in facts.loss] == ["", "6.5"]
    assert [(f.name, f.value, f.note) for f in facts.figures] == [
        ("parameters", "6.2 M", ""),
        ("training tokens", "8.2 M", "12,346 per second"),
        ("int8 size", "25%", "-0.0001 bits per byte"),
    ]


def test_values_other_than_the_defaults_are_named(tmp_path):
    params = parse_params({"clean": {"min_characters": 7}, "pretrain": {"model": {"n_layers": 3}}})

    facts = collect_report(tmp_path, params, provenance={"git commit": "abc"})

    assert facts.changed == {"clean.min_characters", "pretrain.model.n_layers"}
    assert facts.configuration["pretrain"]["model.n_layers"] == 3
    assert facts.provenance == {"params.yaml": f"sha256 {params.digest}", "git commit": "abc"}


def test_a_damaged_report_is_named(tmp_path):
    leave(tmp_path, "clean", {"documents": 1})
    (tmp_path / "clean" / "details.json").write_text("{")

    with pytest.raises(IntegrityError, match=r"clean/details\.json: not valid JSON"):
        collect_report(tmp_path, Params())
