"""`clean`: every document is kept, or dropped with a reason; raw and clean documents are checked on the way."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.cleaning import clean_documents
from model.corpus.config import CleanConfig
from model.corpus.documents import Document, DocumentWriter, read_documents
from model.errors import CorpusError, ExpectationError
from model.files import files_below, sha256_file
from tasks.clean import clean
from tasks.journal import NullJournal

pytestmark = pytest.mark.feature("CORP-03")
SPLITS = ("train", "validation", "test")
HALF = {"validation_fraction": 0.25, "test_fraction": 0.25, "keep_clusters_together": False}  # stories are much alike


def write(folder: Path, texts: dict[str, str]) -> Path:
    with DocumentWriter(folder) as writer:
        for name, text in texts.items():
            writer.write(Document(name, text, "toy", "en"))
    return folder


def stories(n: int) -> dict[str, str]:
    return {f"toy/{i}.txt": f"Story {i}. " + "It was a dark and stormy night. " * 10 for i in range(n)}


def run(tmp_path: Path, texts: dict[str, str], **settings):
    raw, out, reports = write(tmp_path / "raw", texts), tmp_path / "clean", tmp_path / "reports"
    reports.mkdir(exist_ok=True)
    report = clean(CleanConfig(**{**HALF, **settings}), raw, out, NullJournal(), reports)
    return report, {d.id: (split, d.text) for split in SPLITS for d in read_documents(out / split)}


def test_documents_in_are_kept_or_dropped_with_a_reason_and_examples(tmp_path):
    texts = stories(40) | {
        "toy/short.txt": "too short",
        "toy/long.txt": "x" * 5000,
        "toy/copy.txt": stories(1)["toy/0.txt"].replace(". ", ".  ").replace(".  ", ". ") + " \r\n",
        "toy/blank.txt": "\x07 \ufeff\n",
    }
    report, kept = run(tmp_path, texts, max_characters=4000)
    metrics = report.metrics
    assert {k: metrics[f"dropped_{k}"] for k in ("too_short", "too_long", "duplicate", "empty")} == {
        "too_short": 1, "too_long": 1, "duplicate": 1, "empty": 1
    }  # fmt: skip
    assert metrics["documents"] == 44 == metrics["kept"] + metrics["dropped"]
    assert set(kept) == set(stories(40))
    examples = {row["id"]: (row["reason"], row["text"]) for row in report.tables["Dropped, examples"]}
    assert examples["toy/short.txt"] == ("too_short", "too short")
    assert examples["toy/long.txt"] == ("too_long", "x" * 120)
    assert examples["toy/copy.txt"][0] == "duplicate"
    json.dumps({"tables": report.tables, "facts": report.facts, "metrics": report.metrics})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=30))
def test_whatever_comes_in_is_kept_or_dropped(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("clean")
    documents = stories(30) | {f"odd/{i}": text for i, text in enumerate(texts)}
    raw = write(folder / "raw", documents)
    result = clean_documents(CleanConfig(min_characters=5, **HALF), raw, folder / "clean")
    kept = [d.text for split in SPLITS for d in read_documents(folder / "clean" / split)]
    assert result.documents == len(documents) == result.kept + result.dropped.total()
    assert len(kept) == len(set(kept)) == result.kept
    assert all(len(text) >= 5 for text in kept)


def test_texts_are_repaired_and_the_raw_files_untouched(tmp_path):
    texts = stories(30) | {"toy/broken.txt": "CafÃ© au lait\x07 \r\n" * 30}
    before = {}
    raw = write(tmp_path / "raw", texts)
    before = {name: sha256_file(raw / name) for name in files_below(raw)}
    report, kept = run(tmp_path, texts)
    assert kept["toy/broken.txt"][1] == "\n".join(["Café au lait"] * 30)
    assert {row["repair"]: row["documents"] for row in report.tables["Changed by normalization"]}["fix_mojibake"] == 1
    assert {name: sha256_file(raw / name) for name in files_below(raw)} == before


@pytest.mark.feature("PIPE-02")
def test_same_input_gives_same_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        run(tmp_path / name, stories(30))
    names = files_below(tmp_path / "a" / "clean")
    assert len(names) == 3
    assert all(sha256_file(tmp_path / "a/clean" / n) == sha256_file(tmp_path / "b/clean" / n) for n in names)


def test_switched_off_repairs_and_deduplication_leave_texts_as_they_are(tmp_path):
    texts = {f"toy/{i}.txt": "Same text, \x07 e\u0301 CafÃ©  \r\n" * 20 for i in range(30)}
    off = {"fix_mojibake": False, "unicode_form": "none", "control_characters": False, "white_space": False}
    _, kept = run(tmp_path, texts, normalize=off, deduplicate="none")
    assert {name: text for name, (_, text) in kept.items()} == texts


@pytest.mark.feature("CORP-11")
def test_report_describes_splits_sources_and_words(tmp_path):
    report, kept = run(tmp_path, stories(40))
    rows = {row["split"]: row for row in report.tables["Splits"]}
    for split in SPLITS:
        texts = [text for where, text in kept.values() if where == split]
        assert rows[split]["documents"] == len(texts)
        assert rows[split]["bytes"] == sum(len(text.encode()) for text in texts)
    assert report.metrics["vocabulary"] == len({"story", "it", "was", "a", "dark", "and", "stormy", "night"}) + 40
    assert report.series["words"][0]["count"] == 400
    assert sum(row["documents"] for row in report.series["lengths"]) == 40


@pytest.mark.feature("CORP-10")
def test_data_docs_are_written_and_need_no_network(tmp_path):
    report, _ = run(tmp_path, stories(30))
    for suite in ("raw", "clean"):
        page = (tmp_path / "reports" / "data_docs" / f"{suite}.html").read_text()
        assert "expect_column_values_to_not_be_null" in page
        assert "every expectation holds, 30 documents checked" in page
        assert "http" not in page
        assert all(row["passed"] for row in report.tables[f"Expectations, {suite}"])


def test_nothing_left_says_which_filter_dropped_how_many(tmp_path):
    with pytest.raises(CorpusError) as error:
        run(tmp_path, {"toy/1": "short", "toy/2": "shorter", "toy/3": " "})
    assert str(error.value).startswith(
        "clean: no documents left of 3; 2 too_short: shorter than clean.min_characters (200); 1 empty: "
    )


def test_one_big_file_is_told_how_to_become_several_documents(tmp_path):
    with pytest.raises(
        CorpusError, match=r"split is empty: 1 different .*; add texts.*ingest.max_document_characters=\d+"
    ):
        run(tmp_path, {"toy/all.txt": "It was a dark and stormy night. " * 100})


@pytest.mark.feature("CORP-10")
def test_broken_raw_documents_stop_the_stage_with_expectation_and_ids(tmp_path):
    texts = stories(20) | {f"toy/garbage-{i}.txt": "\ufffd" * 500 for i in range(4)} | {"toy/odd.txt": "\x01" * 500}
    texts |= {"toy/odder.txt": "\x01" * 600}
    with pytest.raises(ExpectationError) as error:
        run(tmp_path, texts)
    message = str(error.value)
    assert "raw: expect_column_values_to_be_between on column replacement_share" in message
    assert "failed for 4 of 26 documents" in message
    assert "toy/garbage-0.txt (replacement_share 1.0)" in message
    assert "1 more expectations failed" in message
    assert "\n" not in message
    assert not (tmp_path / "clean").exists()
    page = (tmp_path / "reports" / "data_docs" / "raw.html").read_text()
    assert "toy/odder.txt" in page


@pytest.mark.feature("CORP-10")
def test_two_documents_of_one_id_stop_the_stage(tmp_path):
    raw = tmp_path / "raw"
    with DocumentWriter(raw) as writer:
        for i in range(20):
            writer.write(Document(f"toy/{i % 19}", f"{i} " * 200, "toy", "en"))
    with pytest.raises(ExpectationError, match=r"id_seen_before .* failed for 1 of 20 documents .*toy/0"):
        clean(CleanConfig(**HALF), raw, tmp_path / "clean", NullJournal(), tmp_path / "reports")
