"""What a stage tells when it is done: one headline, figures for machines, series and tables for people.

`data/reports/STAGE.json` holds the figures (DVC metrics), `data/reports/STAGE/` the series (CSV for DVC plots),
`details.json` (headline, tables, facts) and whatever pages the stage wrote for people. The folder's `MANIFEST.json`,
written last, has the checksums of all of them, the figures included: a later stage verifies them before it judges by
them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.files import read_json, verify_manifest, write_json, write_manifest, write_text

Row = Mapping[str, Any]


@dataclass(frozen=True)
class StageReport:
    """The result of a stage beside its output folder.

    Attributes:
        headline: The stage's main figures in a few words: `249 documents, 12.2 M characters`.
        metrics: Figures for `dvc metrics` and MLflow, by name; units in the names.
        series: Rows for plots, by file name without ending: `{"loss": [{"step": 1, "train_loss": 8.3}, ...]}`.
        tables: Rows for people, by title.
        facts: Anything else worth keeping (reasons, examples, versions), as JSON.
    """

    headline: str
    metrics: Mapping[str, float | int] = field(default_factory=dict)
    series: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_report(report: StageReport, metrics_file: Path, folder: Path) -> None:
    """Write a stage's report where DVC and people look for it."""
    for name, rows in report.series.items():
        write_text(folder / f"{name}.csv", rows_to_csv(rows))
    details = {"headline": report.headline, "tables": dict(report.tables), "facts": dict(report.facts)}
    # the columns of a table are in the order that its author chose, so nothing is sorted here
    write_text(folder / "details.json", json.dumps(details, indent=2, ensure_ascii=False) + "\n")
    write_json(metrics_file, dict(report.metrics))
    write_manifest(folder, [metrics_file.name])


def verify_report(reports: Path, stage: str) -> None:
    """Check every byte of a stage's report before something is decided by it.

    Raises:
        IntegrityError: A file of it is missing, or its bytes changed.
    """
    verify_manifest(reports / stage)


def read_report(reports: Path, stage: str) -> StageReport:
    """Read back a stage's report (without its series).

    Raises:
        IntegrityError: The stage has not been run, or its report is damaged.
    """
    details = read_json(reports / stage / "details.json")
    metrics = read_json(reports / f"{stage}.json")
    return StageReport(details["headline"], metrics, {}, details["tables"], details["facts"])


def rows_to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV text; the columns are the union of the keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
