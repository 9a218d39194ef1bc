"""`ingest` gives the same bytes whatever the workers, after a kill, and from a cluster; nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from model.corpus import units
from model.corpus.documents import read_documents
from model.corpus.readers import formats
from model.corpus.readers.source_file import SourceFile
from model.corpus.shard_runner import ProcessRunner, SerialRunner
from model.corpus.sources import IngestConfig
from model.errors import ConfigError, CorpusError
from model.files import files_below, sha256_file
from model.randomness import python_generator
from tasks.ingest import ingest
from tasks.journal import NullJournal
from tasks.settings import Settings
from tasks.shard_runners import PrefectRunner, shard_runner

pytestmark = pytest.mark.feature("CORP-02")


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in files_below(folder)}


def write_texts(folder: Path, n_files: int, n_characters: int) -> None:
    draw = python_generator(7)
    words = ["river", "mountain", "boat", "naïve", "漢字", "winter\n\n"]
    folder.mkdir(parents=True)
    for index in range(n_files):
        if index % 7 == 3:
            (folder / f"{index:04}.txt").write_bytes(b"caf\xe9")
        elif index % 7 == 5:
            rows = [json.dumps({"text": " ".join(draw.choices(words, k=40))}) for _ in range(n_characters // 250)]
            (folder / f"{index:04}.jsonl").write_text("\n".join([*rows, "{broken"]))
        else:
            (folder / f"{index:04}.txt").write_text(" ".join(draw.choices(words, k=n_characters // 7)))


@pytest.fixture
def small_units(monkeypatch):
    """Units of 20 kB here and (where the test says so) in the processes that it starts."""
    monkeypatch.setattr(units, "UNIT_BYTES", 20_000)
    monkeypatch.setattr(units, "UNIT_FILES", 7)


def run(root: Path, out: str = "raw", workers: int = 1, **settings):
    settings.setdefault("sources", [{"path": "texts"}])
    report = ingest(IngestConfig.model_validate(settings), root / out, NullJournal(), root, shard_runner(workers))
    return report, root / out


@pytest.mark.parametrize("settings", [{}, {"max_documents": 100}, {"shard_documents": 10}])
def test_output_is_the_same_whatever_the_number_of_workers(tmp_path, small_units, settings):
    write_texts(tmp_path / "texts", 40, 5000)
    one, first = run(tmp_path, "one", 1, **settings)
    three, second = run(tmp_path, "three", 3, **settings)
    assert digests(first) == digests(second)
    assert len(digests(first)) > 5
    assert (one.metrics, one.tables, one.series) == (three.metrics, three.tables, three.series)
    assert one.metrics["files"] == one.metrics["files_read"] + one.metrics["files_set_aside"] == 40
    assert one.metrics["files_set_aside"] == 6
    assert not list((tmp_path / ".tisslm" / "work").iterdir())


def test_units_change_neither_documents_nor_their_order(tmp_path, monkeypatch):
    write_texts(tmp_path / "texts", 40, 5000)
    _, whole = run(tmp_path, "whole")
    monkeypatch.setattr(units, "UNIT_BYTES", 10_000)
    _, cut = run(tmp_path, "cut")
    assert list(read_documents(whole)) == list(read_documents(cut))
    assert len(digests(whole)) == 1 < len(digests(cut))


def test_lines_of_a_large_file_are_read_in_ranges_and_counted_as_one_file(tmp_path, monkeypatch):
    (tmp_path / "texts").mkdir()
    lines = [json.dumps({"text": "x" * (i % 90) + f" {i}"}) if i % 10 else "{broken" for i in range(2000)]
    (tmp_path / "texts" / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "texts" / "b.jsonl").write_text("{\n" * 20_000)
    report, whole = run(tmp_path, "whole")
    monkeypatch.setattr(units, "UNIT_BYTES", 5000)
    cut_report, cut = run(tmp_path, "cut", workers=2)
    assert list(read_documents(whole)) == list(read_documents(cut))
    assert cut_report.metrics == report.metrics
    assert cut_report.metrics["files"] == 2
    assert cut_report.tables == report.tables
    assert len(digests(cut)) > 10


@pytest.mark.parametrize("text", ["", "\n", "one line", "a\nb\nc\n", "aaaa\n" * 100, "x" * 300 + "\ny\n" + "z\n" * 50])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_ranges_cover_a_file_and_end_where_lines_end(tmp_path, monkeypatch, text, size):
    monkeypatch.setattr(units, "UNIT_BYTES", size)
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    ranges = list(units.line_ranges(SourceFile("a.jsonl", lambda: path.open("rb"), size=len(text))))
    ends = [r.end if r.end is not None else len(text) for r in ranges]
    assert [r.start for r in ranges] == [0, *ends[:-1]]
    assert ends[-1] == len(text)
    assert all(text[end - 1] == "\n" for end in ends[:-1])
    assert [r.first_line for r in ranges] == [text.count("\n", 0, r.start) for r in ranges]


PROGRAM = """
import pathlib, sys
if __name__ == "__main__":
    from model.corpus import units
    units.UNIT_BYTES, units.UNIT_FILES = 20_000, 7
    from model.corpus.sources import IngestConfig
    from tasks.ingest import ingest
    from model.corpus.shard_runner import ProcessRunner
    from tasks.journal import NullJournal
    root = pathlib.Path(sys.argv[1])
    config = IngestConfig.model_validate({"sources": [{"path": "texts"}]})
    ingest(config, root / "killed", NullJournal(), root, ProcessRunner(2))
    print("done")
"""


def n_finished(root: Path) -> int:
    return len(list((root / ".tisslm" / "work").glob("ingest-*/*/done/MANIFEST.json")))


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(tmp_path, small_units):
    write_texts(tmp_path / "texts", 150, 40_000)
    draw = python_generator(1)
    kept = kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        wanted = kept + draw.randint(0, 60)
        while process.poll() is None and n_finished(tmp_path) <= wanted:
            time.sleep(draw.uniform(0, 0.02))
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive
        assert n_finished(tmp_path) >= kept, "finished units stay"
        kept, kills = n_finished(tmp_path), kills + 1
    assert process.stdout.read() == "done\n"
    assert kills >= 2
    assert kept > 0
    _, whole = run(tmp_path, "whole")
    assert digests(tmp_path / "killed") == digests(whole)
    assert not list((tmp_path / ".tisslm" / "work").iterdir())


def test_file_changed_between_two_attempts_is_read_again(tmp_path, small_units, monkeypatch):
    write_texts(tmp_path / "texts", 30, 5000)
    with monkeypatch.context() as broken:
        broken.setattr("tasks.ingest._merged", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path)
    path = tmp_path / "texts" / "0000.txt"
    path.write_text("Something else stands here now.")
    os.utime(path, ns=(1, 1))
    _, out = run(tmp_path)
    assert next(read_documents(out)).text == "Something else stands here now."


def test_progress_and_dataset_are_journalled(tmp_path, small_units):
    write_texts(tmp_path / "texts", 10, 5000)
    seen = []
    journal = NullJournal()
    journal.progress = lambda done, total, unit="", **figures: seen.append((done, total, unit))
    ingest(
        IngestConfig.model_validate({"sources": [{"path": "texts"}]}),
        tmp_path / "raw",
        journal,
        tmp_path,
        ProcessRunner(2),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)
    assert [event["name"] for event in journal.events] == ["raw"]


@pytest.mark.feature("CORP-01")
def test_archives_give_the_documents_of_the_folder_that_was_packed(tmp_path):
    write_texts(tmp_path / "texts", 20, 1000)
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "a.tar.gz", "w:gz") as tar, zipfile.ZipFile(packed / "a.zip", "w") as zipped:
        for path in sorted((tmp_path / "texts").iterdir()):
            tar.add(path, path.name)
            zipped.write(path, path.name)
    _, plain = run(tmp_path, "plain")
    expected = [(d.id.removeprefix("texts/"), d.text) for d in read_documents(plain)]
    for name in ("a.tar.gz", "a.zip"):
        report, out = run(tmp_path, f"of-{name}", sources=[{"path": f"packed/{name}", "name": "texts"}])
        assert [(d.id.removeprefix(f"texts/{name}/"), d.text) for d in read_documents(out)] == expected
        assert report.metrics["files"] == 20
        assert {row["reason"] for row in report.tables["Set aside, by reason"]} == {"not_utf8", "broken_json"}


@pytest.mark.feature("CORP-01")
def test_table_of_facts_beside_the_texts_becomes_metadata(tmp_path):
    (tmp_path / "texts" / "sub").mkdir(parents=True)
    for name in ("a.txt", "sub/b.txt", "c.txt"):
        (tmp_path / "texts" / name).write_text(f"The text of {name}.")
    (tmp_path / "texts" / "facts.csv").write_text("file,year,author\na,1900,Anna\nsub/b.txt,1901,Bo\nx,1,X\n")
    table = {"path": "texts/facts.csv", "key": "file", "created": "year"}
    report, out = run(tmp_path, sources=[{"path": "texts", "metadata": table}])
    found = {d.id: (d.created, json.loads(d.metadata)) for d in read_documents(out)}
    assert found == {
        "texts/a.txt": ("1900", {"author": "Anna", "file": "a"}),
        "texts/sub/b.txt": ("1901", {"author": "Bo", "file": "sub/b.txt"}),
        "texts/c.txt": ("", {}),
    }
    assert report.metrics["files"] == 3, "the table itself is no text"


@pytest.mark.feature("CORP-01")
def test_file_that_trips_its_reader_is_set_aside_and_the_others_read(tmp_path, monkeypatch):
    write_texts(tmp_path / "texts", 3, 1000)
    (tmp_path / "texts" / "x.eml").write_text("Subject: x\n\nbody\n")

    def trip(_):
        raise KeyError("what nobody thought of")

    monkeypatch.setitem(formats.READERS, ".eml", trip)
    report, _ = run(tmp_path)
    assert (report.metrics["files_read"], report.metrics["files_set_aside"]) == (3, 1)
    assert "KeyError: 'what nobody thought of'" in report.tables["Set aside, the first"][0]["detail"]


@pytest.mark.feature("CORP-13")
def test_generated_examples_are_a_source_like_any_other(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A text of mine.")
    sources = [{"path": "texts"}, {"synthetic": "sorting", "count": 30}]
    report, out = run(tmp_path, sources=sources)
    _, again = run(tmp_path, "again", workers=2, sources=sources)
    documents = list(read_documents(out))
    assert [d.id for d in documents[:2]] == ["texts/a.txt", "synthetic-sorting/sorting#1"]
    assert len(documents) == 31
    assert json.loads(documents[1].metadata)["answer"] in documents[1].text
    assert digests(out) == digests(again)
    assert report.metrics["files"] == report.metrics["files_read"] == 2


def test_settings_choose_the_runner(monkeypatch):
    assert isinstance(shard_runner(2, Settings(shard_runner="serial")), SerialRunner)
    assert shard_runner(2, Settings(shard_runner="ray", cluster="x")) == PrefectRunner("ray", 2, "x")
    monkeypatch.setenv("TISSLM_SHARD_RUNNER", "threads")
    with pytest.raises(ConfigError, match=r"TISSLM_SHARD_RUNNER='threads'"):
        shard_runner(2)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(ConfigError, match=r"-m pip install -c constraints\.txt -e '\.\[dask\]'"):
        PrefectRunner("dask", 1)(len, ["x"])


@pytest.fixture
def prefect_home():
    """A Prefect of this test's own: a database in a temporary folder, a server while it lasts."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_cluster_gives_the_same_bytes_and_the_same_errors(tmp_path, small_units, monkeypatch, kind, prefect_home):
    pytest.importorskip(f"prefect_{kind}")
    write_texts(tmp_path / "texts", 30, 5000)
    _, here = run(tmp_path, "here")
    monkeypatch.setenv("TISSLM_SHARD_RUNNER", kind)
    _, there = run(tmp_path, "there", workers=2)
    assert digests(here) == digests(there)
    table = {"path": "nowhere.csv", "key": "file"}
    with pytest.raises(CorpusError, match=r"nowhere.csv: cannot be read as UTF-8 CSV"):
        run(tmp_path, "none", workers=2, sources=[{"path": "texts", "metadata": table}])
