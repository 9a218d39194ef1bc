"""`tisslm corpus ...` on small folders of a user's own, outside any workspace."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from model.corpus.cleaning import clean_documents
from model.corpus.config import CleanConfig
from model.corpus.documents import Document, DocumentWriter, read_documents
from model.corpus.synthetic.verify import judge
from model.errors import ConfigError, CorpusError, StorageError, TissLMError

REPOSITORY = Path(__file__).parents[2]
STORY = (
    "The harbor master of the small town kept a careful record of every ship that came in from the sea, "
    "and he wrote down the names of the captains, the weight of the cargo and the colour of the sails. "
    "In the winter of that year {0} ships were late, "
    "and the people stood on the pier with their lanterns and waited for the bell of the {1}. "
)
MAIL = (
    "Please write to ann.lee@example.com or call +44 20 7946 0{0:03}; the server is 10.0.0.{0}, the order 4155550132."
)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight stories, one of them twice, one nearly twice, two mails, a file too short and one that is no text."""
    folder = tmp_path / "my-texts"
    folder.mkdir()
    for i, noun in enumerate(["lighthouse", "church", "castle", "ferry", "school", "mill", "market", "tower"]):
        (folder / f"story{i}.txt").write_text("".join(STORY.format(i * 7 + k, f"{noun} {k}") for k in range(4)))
    (folder / "twice.txt").write_text((folder / "story3.txt").read_text())
    (folder / "nearly.txt").write_text((folder / "story5.txt").read_text() + "The end.")
    for i in (1, 2):
        (folder / f"mail{i}.txt").write_text(MAIL.format(i) + "\n" + (STORY * 2).format(i, "post office"))
    (folder / "short.txt").write_text("too short")
    (folder / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 9)
    monkeypatch.chdir(tmp_path)
    return folder


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["corpus", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.feature("CORP-11")
def test_stats_counts_what_is_there(texts: Path) -> None:
    facts = run_json("stats", "my-texts", "--words", "3")
    contents = [path.read_text() for path in sorted(texts.glob("*.txt")) if path.name != "picture.txt"]
    assert facts["documents"] == len(contents) == 13
    assert facts["characters"] == facts["bytes"] == sum(map(len, contents))
    assert facts["longest"] == max(map(len, contents))
    assert facts["languages"] == {"en": 13}
    assert sum(row["documents"] for row in facts["lengths"]) == 13
    assert facts["common_words"][0]["word"] == "the"
    shown = run("stats", "my-texts")
    assert "13" in shown
    assert "█" in shown
    assert "median" in shown


@pytest.mark.feature("CORP-03", "CORP-04")
def test_clean_writes_what_is_left_and_says_what_was_dropped(texts: Path, tmp_path: Path) -> None:
    words = ("clean", "my-texts", "--filter", "length:min_words=20", "--filter", "language=en", "--pii")
    dry = run_json(*words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-texts"]
    out, dropped = tmp_path / "clean.jsonl", tmp_path / "dropped.jsonl"
    facts = run_json(*words, "--out", str(out), "--dropped", str(dropped))
    assert facts == dry
    assert (facts["documents"], facts["kept"]) == (13, 11)
    kept = rows_of(out)
    assert len(kept) == 11
    assert "[EMAIL]" in next(row["text"] for row in kept if row["id"].endswith("mail1.txt"))
    assert {(row["id"].rpartition("/")[2], row["reason"]) for row in rows_of(dropped)} == {
        ("short.txt", "too_short"), ("twice.txt", "duplicate"),
    }  # fmt: skip
    steps = {row["step"]: row["documents"] for row in facts["waterfall"]}
    assert (steps["in"], steps["too_short"], steps["duplicate"], steps["left"]) == (13, 1, 1, 11)
    assert facts["pii"] == {"email": 2, "phone": 2, "ip": 2}
    assert "nothing written" in run(*words)


@pytest.mark.feature("CORP-05")
@pytest.mark.slow
def test_clean_and_dedup_drop_near_copies(texts: Path, tmp_path: Path) -> None:
    facts = run_json("clean", "my-texts", "--deduplicate", "near", "--out", "near")
    assert facts["kept"] == len(list(read_documents(tmp_path / "near")))
    reasons = {row["reason"]: row["documents"] for row in facts["reasons"]}
    assert reasons["duplicate"] == 1
    assert reasons["near_duplicate"] >= 1
    report = run_json("dedup", "my-texts", "--out", "unique.jsonl", "--dropped", "copies.jsonl")
    assert {"my-texts/story5.txt", "my-texts/twice.txt"} <= set(report["dropped_ids"])
    assert len(rows_of(tmp_path / "unique.jsonl")) == report["kept"] == 13 - len(report["dropped_ids"])
    assert {row["id"] for row in rows_of(tmp_path / "copies.jsonl")} == set(report["dropped_ids"])


@pytest.mark.feature("CORP-03")
@pytest.mark.slow
def test_clean_with_splits_is_the_pipelines_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with DocumentWriter(tmp_path / "raw") as writer:
        for i in range(120):
            writer.write(Document(f"s/{i}", f"Story {i}. " + STORY.format(i, i * i) * (i % 3 + 1), "s", "en"))
    (tmp_path / "p.yaml").write_text(
        "clean: {min_characters: 400, filters: [{filter: gopher_quality}], keep_clusters_together: false}\n"
    )
    run("clean", "raw", "--params", "p.yaml", "--splits", "--out", "mine", "--dropped", "gone.jsonl")
    assert {row["reason"] for row in rows_of(tmp_path / "gone.jsonl")} <= {
        "too_short",
        "near_duplicate",
        "duplicate",
    } | {f"gopher_quality.{rule}" for rule in ("too_few_words", "too_few_stop_words")}
    config = CleanConfig(min_characters=400, filters=[{"filter": "gopher_quality"}], keep_clusters_together=False)
    clean_documents(config, tmp_path / "raw", tmp_path / "theirs")
    for split in ("train", "validation", "test"):
        assert list(read_documents(tmp_path / "mine" / split)) == list(read_documents(tmp_path / "theirs" / split))
        for file in sorted((tmp_path / "theirs" / split).glob("part-*")):
            assert (tmp_path / "mine" / split / file.name).read_bytes() == file.read_bytes()


@pytest.mark.feature("CORP-08")
def test_pii_counts_and_replaces(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = run_json("pii", "my-texts")
    assert {row["kind"]: row["found"] for row in facts["kinds"] if row["found"]} == {"email": 2, "phone": 2, "ip": 2}
    assert not any("ann.lee" in row["text"] for row in facts["examples"])
    run("pii", "my-texts", "--kind", "phone", "--action", "mask", "--out", "masked.jsonl.gz")
    masked = [json.loads(line) for line in gzip.decompress((tmp_path / "masked.jsonl.gz").read_bytes()).splitlines()]
    (mail,) = [row["text"] for row in masked if row["id"].endswith("mail2.txt")]
    assert mail.startswith("Please write to ann.lee@example.com or call +** ** **** 0002;")
    monkeypatch.setenv("TISSLM_PII_KEY", "a key of more than sixteen bytes")
    run("pii", "my-texts", "--kind", "email", "--action", "hash", "--out", "hashed.jsonl")
    tokens = {row["text"][:40] for row in rows_of(tmp_path / "hashed.jsonl") if "mail" in row["id"]}
    assert len(tokens) == 1
    assert tokens.pop().startswith("Please write to [EMAIL:")
    rows = run_json("pii", "--evaluate", "200")["kinds"]
    assert {row["kind"] for row in rows} >= {"email", "phone", "card", "iban"}


@pytest.mark.feature("CORP-19")
@pytest.mark.slow
def test_contamination_finds_an_item_and_leaves_its_document_out(texts: Path, tmp_path: Path) -> None:
    question = (
        "Which of the nine grey herons under the old oak bridge caught the last trout before the miller woke up again?"
    )
    (texts / "riddle.txt").write_text(
        f"A riddle of the valley. {question} Nobody ever knew, and nobody asked twice. " * 2
    )
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"question": question, "answer": "yes"}) + "\n")
    facts = run_json("contamination", "my-texts", "--against", "quiz.jsonl", "--ngram", "8", "--out", "left.jsonl")
    assert facts["holding_documents"] == ["my-texts/riddle.txt"]
    assert {row["benchmark"] for row in facts["benchmarks"]} == {"quiz"}
    assert "my-texts/riddle.txt" not in {row["id"] for row in rows_of(tmp_path / "left.jsonl")}
    assert len(rows_of(tmp_path / "left.jsonl")) == 13


@pytest.mark.feature("CORP-13")
def test_synthesize_writes_tasks_and_judges_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("synthesize", "arithmetic", "sorting", "-n", "20", "--difficulty", "1-3", "--out", "tasks.jsonl")
    rows = rows_of(tmp_path / "tasks.jsonl")
    assert [row["task"] for row in rows] == ["arithmetic"] * 20 + ["sorting"] * 20
    assert set(rows[0]) == {"prompt", "answer", "text", "task", "difficulty", "verifier"}
    assert all(judge(row["verifier"], row["answer"]) for row in rows)
    rows[0]["answer"] = "wrong"
    (tmp_path / "answered.jsonl").write_text("\n".join(map(json.dumps, rows)))
    judged = {row["task"]: row["right"] for row in run_json("synthesize", "--verify", "answered.jsonl")}
    assert judged == {"arithmetic": 19, "sorting": 20}
    again = run_json("synthesize", "arithmetic", "-n", "20", "--difficulty", "1-3")
    assert [row["prompt"] for row in again] == [row["prompt"] for row in rows[:20]]
    assert "nothing written" in run("synthesize", "counting", "-n", "3")


@pytest.mark.feature("CORP-17")
def test_datasheet_is_filled_from_what_is_measured(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("motivation: {purpose: To teach a model about harbors.}\n")
    page = run("datasheet", "my-texts", "--title", "Harbor stories", "--answers", "a.yaml")
    assert page.startswith("# Datasheet: Harbor stories")
    assert "To teach a model about harbors." in page
    run("datasheet", "my-texts", "--out", "sheet")
    assert (tmp_path / "sheet" / "datasheet.md").read_text().startswith("# Datasheet: my-texts")
    assert "<html" in (tmp_path / "sheet" / "datasheet.html").read_text()


@pytest.mark.feature("DX-06")
@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["stats", "nowhere"], CorpusError, "nowhere"),
        (["clean", "my-texts", "--filter", "gopher_qualty"], ConfigError, "did you mean gopher_quality?"),
        (
            ["clean", "my-texts", "--filter", "c4=3"],
            ConfigError,
            "--filter c4=3: expected NAME, NAME=VALUE or NAME:KEY=VALUE",
        ),
        (["clean", "my-texts", "--filter", "length:min_word=3"], ConfigError, "min_word: unknown key; did you mean"),
        (["clean", "my-texts", "--deduplicate", "some"], ConfigError, "clean.deduplicate = 'some'"),
        (["clean", "my-texts", "--filter", "length:min_words=5000"], CorpusError, "clean: no documents left of 13: "),
        (["clean", "my-texts", "--params", "none.yaml"], ConfigError, "none.yaml: no such file"),
        (["clean", "my-texts", "--out", "my-texts"], StorageError, "my-texts: exists already, nothing was written"),
        (["clean", "my-texts", "--splits", "--out", "x.jsonl"], ConfigError, "expected a folder with --splits"),
        (["dedup", "my-texts", "--threshold", "2"], ConfigError, "threshold"),
        (["pii"], ConfigError, "got no texts"),
        (["pii", "my-texts", "--kind", "emial"], ConfigError, "kinds"),
        (["pii", "my-texts", "--action", "hash"], ConfigError, "set the environment variable TISSLM_PII_KEY"),
        (["contamination", "my-texts"], ConfigError, "contamination.benchmarks: got none"),
        (["synthesize"], ConfigError, "got no task"),
        (["synthesize", "chess"], ConfigError, "synthetic"),
        (
            ["synthesize", "json", "--difficulty", "hard"],
            ConfigError,
            "--difficulty hard: expected a number from 1 to 10",
        ),
        (["synthesize", "arithmetic", "--difficulty", "1", "-n", "5000"], CorpusError, "different prompts found"),
        (["synthesize", "--verify", "none.jsonl"], CorpusError, "none.jsonl: cannot be read"),
        (["datasheet", "my-texts", "--out", "x.pdf"], ConfigError, "expected a file .md or .html"),
    ],
)
def test_a_mistake_is_one_line(texts: Path, words: list[str], kind: type[TissLMError], message: str) -> None:
    before = {path: path.read_bytes() for path in texts.iterdir()}
    done = CliRunner().invoke(app, ["corpus", *words])
    assert isinstance(done.exception, kind), done.exception or done.output
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert {path: path.read_bytes() for path in texts.iterdir()} == before
    assert sorted(path.name for path in texts.parent.iterdir()) == ["my-texts"]


def test_a_mistake_at_the_shell_has_its_exit_code_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "corpus", "stats", "nowhere"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert done.stderr.startswith("tisslm: error: ")


@pytest.mark.parametrize("command", ["stats", "clean", "dedup", "pii", "contamination", "synthesize", "datasheet"])
def test_help_teaches_by_examples(command: str) -> None:
    page = CliRunner().invoke(app, ["corpus", command, "--help"]).output
    assert f"tisslm corpus {command}" in page
    assert "Examples:" in page


def test_force_replaces_what_stands_there(texts: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run("clean", "my-texts", "--out", "kept", "--force")
    assert len(list(read_documents(tmp_path / "kept"))) == 11
