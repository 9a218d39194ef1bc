"""Prefect artifacts: each stage's report as tables, links to MLflow and to the HTML report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.outcome import Outcome
from flows.servers import mlflow_address
from model.errors import IntegrityError
from tasks.graph import REPORTS
from tasks.report import read_report

MOST_ROWS = 200


def publish_report(root: Path, stage: str) -> None:
    """Show a stage's report in Prefect: its figures as one table, each of its own tables as another."""
    try:
        report = read_report(root / REPORTS, stage)
    except (IntegrityError, KeyError):
        return  # a stage without a report has nothing to show
    key = _key(stage)
    rows = [{"figure": name, "value": _cell(value)} for name, value in report.metrics.items()]
    if rows:
        create_table_artifact(key=f"{key}-figures", table=rows, description=report.headline)
    for title, table in report.tables.items():
        shown = [{str(k): _cell(v) for k, v in row.items()} for row in list(table)[:MOST_ROWS]]
        if shown:
            create_table_artifact(key=f"{key}-{_key(title)}", table=shown, description=title)
    for page in sorted((root / REPORTS / stage).glob("*.html")):
        create_link_artifact(
            key=f"{key}-{_key(page.stem)}", link=page.resolve().as_uri(), link_text=f"{stage}: {page.name}"
        )


def publish_summary(root: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Show how every stage ended, and where MLflow is."""
    lines = ["| stage | | | seconds |", "|---|---|---|---|"]
    lines += [f"| {o.stage} | {o.how} | {o.headline.replace('|', '/')} | {o.seconds:.1f} |" for o in outcomes.values()]
    create_markdown_artifact(key="stages", markdown="\n".join(lines), description="How each stage ended")
    address = mlflow_address(root, os.environ)
    if address:
        create_link_artifact(key="mlflow", link=address, link_text="runs and models in MLflow")


def _key(text: str) -> str:
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in letters.split("-") if part) or "report"


def _cell(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)
