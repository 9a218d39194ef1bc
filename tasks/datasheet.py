"""Stage `datasheet`: what the stages before it measured becomes `data/reports/datasheet.md` and `.html`.

The questions are those of Gebru et al. 2021; what only a person can answer comes from the section `datasheet`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from model.corpus.datasheet.config import DatasheetConfig
from model.corpus.datasheet.render import make_datasheet, to_html, to_markdown
from model.files import write_json, write_text
from tasks.datasheet_facts import gather
from tasks.journal import Journal
from tasks.report import StageReport

if TYPE_CHECKING:
    from tasks.params import Params


def datasheet(
    config: DatasheetConfig,
    raw: Path,
    clean: Path,
    tokens: Path,
    out: Path,
    journal: Journal,
    *,
    reports: Path,
    params: Params,
) -> StageReport:
    """Write the datasheet into `out` and, for people, beside the reports.

    Raises:
        IntegrityError: A stage before it has no report, or its folder is damaged.
    """
    facts = gather(config, raw, clean, tokens, reports, params)
    sheet = make_datasheet(facts, config.answers)
    pages = {"datasheet.md": to_markdown(sheet), "datasheet.html": to_html(sheet)}
    out.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        write_text(out / name, page)
        write_text(reports / name, page)
        journal.artifact(reports / name, "report")
    write_json(out / "datasheet.json", {"facts": asdict(facts), "answers": config.answers, "open": list(sheet.open)})
    counts = sheet.counts
    measured, given = counts["measured"] + counts["both"], counts["given"] + counts["both"]
    return StageReport(
        headline=f"{measured} questions answered by measurement, {given} by people, {counts['open']} open",
        metrics={"measured": measured, "answered": given, "open": counts["open"]},
        tables={"Questions for a person": [{"question": f"datasheet.answers.{key}"} for key in sheet.open]},
        facts={"pages": ["datasheet.md", "datasheet.html"]},
    )
