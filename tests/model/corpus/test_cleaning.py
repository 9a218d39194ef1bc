"""Cleaning in three passes: the same bytes whoever does the shards, and nothing twice after a cut."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from model.corpus.cleaning import clean_documents
from model.corpus.cleaning_result import CleaningResult
from model.corpus.config import CleanConfig
from model.corpus.documents import Document, DocumentWriter, read_documents
from model.corpus.shard_runner import ProcessRunner, SerialRunner
from model.files import files_below, sha256_file
from tests.toy_texts import toy_text

SPLITS = ("train", "validation", "test")
CONFIG = CleanConfig(validation_fraction=0.1, test_fraction=0.1, keep_dropped=True, keep_clusters_together=False)


def write_raw(folder: Path, n: int = 60) -> Path:
    with DocumentWriter(folder, shard_documents=10) as writer:
        for i in range(n):
            text = "too short" if i % 20 == 7 else toy_text(i % 50)
            writer.write(Document(f"toy/{i}.txt", text, "toy", "en"))
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in files_below(folder)}


class Recorder:
    """A serial runner that counts the units it does, and is cut off after some of them."""

    def __init__(self, cut_after: int | None = None) -> None:
        self.cut_after = cut_after
        self.began: list[str] = []

    def __call__(self, function: Callable, units: Sequence, on_done: Callable = lambda _: None) -> list:
        results = []
        for number, unit in enumerate(units, 1):
            if self.cut_after is not None and len(self.began) == self.cut_after:
                raise KeyboardInterrupt
            done = function.store.result(unit.key) is not None
            self.began += [] if done else [unit.key]
            results.append(function(unit))
            on_done(number)
        return results


@pytest.mark.feature("CORP-02")
def test_output_is_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    raw = write_raw(tmp_path / "raw")
    results = []
    for name, runner in {"serial": SerialRunner(), "two": ProcessRunner(2)}.items():
        (tmp_path / name).mkdir()
        results.append(clean_documents(CONFIG, raw, tmp_path / name / "clean", runner=runner))
    assert digests(tmp_path / "serial") == digests(tmp_path / "two")
    assert results[0] == results[1] or results[0].to_json() == results[1].to_json()
    kept = {d.id: d.text for split in SPLITS for d in read_documents(tmp_path / "two" / "clean" / split)}
    dropped = {d.id: d.metadata for d in read_documents(tmp_path / "two" / "clean" / "dropped")}
    assert len(kept) + len(dropped) == 60
    assert {key for key, value in dropped.items() if "too_short" in value} == {"toy/7.txt", "toy/27.txt", "toy/47.txt"}
    assert {key for key, value in dropped.items() if '"duplicate"' in value} == {
        f"toy/{i}.txt" for i in range(50, 60) if i != 57
    }


@pytest.mark.feature("CORP-02")
def test_cut_off_run_goes_on_with_the_shards_that_are_not_done(tmp_path):
    raw = write_raw(tmp_path / "raw")
    (tmp_path / "whole").mkdir()
    clean_documents(CONFIG, raw, tmp_path / "whole" / "clean")
    first, second = Recorder(cut_after=4), Recorder()
    (tmp_path / "cut").mkdir()
    with pytest.raises(KeyboardInterrupt):
        clean_documents(CONFIG, raw, tmp_path / "cut" / "clean", runner=first)
    clean_documents(CONFIG, raw, tmp_path / "cut" / "clean", runner=second)
    assert digests(tmp_path / "cut" / "clean") == digests(tmp_path / "whole" / "clean")
    assert len(first.began) == 4
    assert not set(first.began) & set(second.began)
    assert not any((tmp_path / "cut" / ".tisslm" / "work").glob("clean-*"))


@pytest.mark.feature("CORP-02")
def test_other_settings_never_see_the_shards_of_a_cut_off_run(tmp_path):
    raw = write_raw(tmp_path / "raw")
    first, second = Recorder(cut_after=4), Recorder()
    with pytest.raises(KeyboardInterrupt):
        clean_documents(CONFIG, raw, tmp_path / "clean", runner=first)
    clean_documents(CONFIG.model_copy(update={"min_characters": 5}), raw, tmp_path / "clean", runner=second)
    assert "toy/7.txt" in {d.id for split in SPLITS for d in read_documents(tmp_path / "clean" / split)}


SCRIPT = """
import sys
from pathlib import Path
from model.corpus.cleaning import clean_documents
from model.corpus.config import CleanConfig
from model.corpus.shard_runner import ProcessRunner
if __name__ == "__main__":
    config = CleanConfig.model_validate_json(sys.argv[1])
    clean_documents(config, Path(sys.argv[2]), Path(sys.argv[3]), runner=ProcessRunner(2))
"""


@pytest.mark.slow
@pytest.mark.feature("CORP-02")
def test_killed_at_random_moments_the_result_is_that_of_an_unbroken_run(tmp_path):
    raw = write_raw(tmp_path / "raw", 200)
    (tmp_path / "whole").mkdir()
    clean_documents(CONFIG, raw, tmp_path / "whole" / "clean")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "cut").mkdir()
    command = [sys.executable, "script.py", CONFIG.model_dump_json(), str(raw), str(tmp_path / "cut" / "clean")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    moments = random.Random(3)
    for _ in range(5):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
        time.sleep(moments.uniform(1.5, 6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    assert digests(tmp_path / "cut" / "clean") == digests(tmp_path / "whole" / "clean")


def test_result_comes_back_from_json_as_it_was(tmp_path):
    result = clean_documents(CONFIG, write_raw(tmp_path / "raw"), tmp_path / "clean")
    again = CleaningResult.from_json(result.to_json())
    assert again.to_json() == result.to_json()
    assert again.documents == 60 == again.kept + again.dropped.total()
    assert again.statistics.split_rows() == result.statistics.split_rows()


def spoilt(text: str, draw: random.Random, words: int) -> str:
    """The text with some words replaced."""
    parts = text.split(" ")
    for _ in range(words):
        parts[draw.randrange(len(parts))] = f"word{draw.randrange(1000)}"
    return " ".join(parts)


def write_families(folder: Path, n: int = 120, copies: int = 2) -> Path:
    """`n` texts, each followed somewhere later by near-copies of it (three words of some 350 replaced)."""
    draw = random.Random(0)
    texts = [(f"toy/{i}-0", toy_text(i)) for i in range(n)]
    for copy in range(1, copies + 1):
        texts += [(f"toy/{i}-{copy}", spoilt(toy_text(i), draw, 3)) for i in range(n)]
    with DocumentWriter(folder, shard_documents=50) as writer:
        for name, text in texts:
            writer.write(Document(name, text, "toy", "en"))
    return folder


@pytest.mark.feature("CORP-14")
@pytest.mark.parametrize("together", [True, False])
def test_near_duplicates_never_lie_in_two_splits(tmp_path, together):
    config = CleanConfig(validation_fraction=0.3, test_fraction=0.3, keep_clusters_together=together)
    clean_documents(config, write_families(tmp_path / "raw"), tmp_path / "clean")
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        for document in read_documents(tmp_path / "clean" / split):
            sides.setdefault(document.id.split("-")[0], set()).add(split)
    assert len(sides) == 120
    torn = sum(len(side) > 1 for side in sides.values())
    assert torn == 0 if together else torn > 60


@pytest.mark.feature("CORP-14")
def test_many_texts_of_one_template_train_and_never_fill_the_test(tmp_path):
    template = toy_text(1000)
    with DocumentWriter(tmp_path / "raw") as writer:
        for i in range(100):
            text = f"{template}\n\nForm number {i}." if i % 2 else toy_text(i)
            writer.write(Document(f"toy/{i}", text, "toy", "en"))
    clean_documents(CleanConfig(validation_fraction=0.2, test_fraction=0.2), tmp_path / "raw", tmp_path / "clean")
    test = [d.text for d in read_documents(tmp_path / "clean" / "test")]
    assert 0 < len(test) < 30
    assert not any("Form number" in text for text in test)


@pytest.mark.feature("CORP-05")
def test_near_deduplication_keeps_one_document_of_each_family(tmp_path):
    config = CleanConfig(deduplicate="near", near_duplicates={"keep": "longest"})
    result = clean_documents(config, write_families(tmp_path / "raw"), tmp_path / "clean")
    kept = [d for split in SPLITS for d in read_documents(tmp_path / "clean" / split)]
    families: dict[str, list[int]] = {}
    for document in read_documents(tmp_path / "raw"):
        families.setdefault(document.id.split("-")[0], []).append(len(document.text.strip()))
    assert result.dropped == {"near_duplicate": 240}
    assert {d.id.split("-")[0] for d in kept} == set(families)
    assert all(len(d.text) == max(families[d.id.split("-")[0]]) for d in kept)


@pytest.mark.feature("CORP-05")
def test_drop_all_copies_leaves_only_what_has_none(tmp_path):
    raw = tmp_path / "raw"
    with DocumentWriter(raw) as writer:
        for i in range(60):
            writer.write(Document(f"toy/{i}", toy_text(i % 50), "toy", "en"))
    config = CleanConfig(near_duplicates={"copies": "drop_all"}, validation_fraction=0.2, test_fraction=0.2)
    result = clean_documents(config, raw, tmp_path / "clean")
    kept = {d.id for split in SPLITS for d in read_documents(tmp_path / "clean" / split)}
    assert result.dropped == {"duplicate": 20}
    assert kept == {f"toy/{i}" for i in range(10, 50)}


@pytest.mark.feature("CORP-05")
@pytest.mark.parametrize("deduplicate", ["exact", "near"])
def test_copies_of_a_reference_set_are_dropped(tmp_path, deduplicate):
    raw, reference = tmp_path / "raw", tmp_path / "reference"
    reference.mkdir()
    draw = random.Random(1)
    (reference / "equal.txt").write_text(toy_text(3) + "   \r\n")
    (reference / "near.txt").write_text(spoilt(toy_text(5), draw, 2))
    with DocumentWriter(raw) as writer:
        for i in range(60):
            writer.write(Document(f"toy/{i}", toy_text(i), "toy", "en"))
    config = CleanConfig(
        deduplicate=deduplicate, deduplicate_against=[{"path": "reference"}], validation_fraction=0.2, test_fraction=0.2
    )
    result = clean_documents(config, raw, tmp_path / "clean", root=tmp_path)
    assert result.dropped == {"in_reference": 1 if deduplicate == "exact" else 2}
    assert {name for name, _ in result.examples["in_reference"]} <= {"toy/3", "toy/5"}


@pytest.mark.feature("CORP-19")
def test_training_texts_that_hold_a_benchmark_item_are_removed_on_request(tmp_path):
    item = "the quick brown fox jumps over the lazy dog while seven wizards quietly watch the river rise"
    (tmp_path / "bench.jsonl").write_text(f'{{"text": "{item}"}}\n{{"text": "{item[::-1]} other words"}}\n')
    with DocumentWriter(tmp_path / "raw") as writer:
        for i in range(60):
            text = toy_text(i) + (f" {item}. " if i % 2 else "") + toy_text(100 + i)
            writer.write(Document(f"toy/{i}", text, "toy", "en"))
    counts = {}
    for remove in ("none", "document"):
        config = CleanConfig(
            validation_fraction=0.2,
            test_fraction=0.2,
            contamination={"benchmarks": [{"path": "bench.jsonl"}], "remove": remove, "test_split": "ignore"},
        )
        result = clean_documents(config, tmp_path / "raw", tmp_path / remove, root=tmp_path)
        train = list(read_documents(tmp_path / remove / "train"))
        counts[remove] = sum(item in d.text for d in train), len(train), result.dropped["contaminated"]
    with_item, n_train, _ = counts["none"]
    assert with_item > 5
    assert counts["document"] == (0, n_train - with_item, with_item)


@pytest.mark.feature("CORP-04", "CORP-03")
def test_lines_that_a_source_repeats_are_taken_out(tmp_path):
    with DocumentWriter(tmp_path / "raw", shard_documents=20) as writer:
        for i in range(60):
            text = f"Home | News | Contact us\n\n{toy_text(i)}\nRead on page {i} of our archive\n"
            writer.write(Document(f"toy/{i}", text, "toy", "en"))
    config = CleanConfig(boilerplate={"repeated_share": 0.5}, validation_fraction=0.2, test_fraction=0.2)
    result = clean_documents(config, tmp_path / "raw", tmp_path / "clean")
    texts = {d.id: d.text for split in SPLITS for d in read_documents(tmp_path / "clean" / split)}
    assert result.changed["boilerplate"] == 60
    assert texts == {f"toy/{i}": toy_text(i).strip() for i in range(60)}


@pytest.mark.feature("CORP-20")
def test_misspellings_are_corrected_on_request(tmp_path):
    with DocumentWriter(tmp_path / "raw") as writer:
        for i in range(60):
            text = f"{toy_text(i)} The letter that we recieved yesterday from their goverment office came very late."
            writer.write(Document(f"toy/{i}", text, "toy", "en"))
    config = CleanConfig(normalize={"correct_misspellings": True}, validation_fraction=0.2, test_fraction=0.2)
    result = clean_documents(config, tmp_path / "raw", tmp_path / "clean")
    texts = [d.text for split in SPLITS for d in read_documents(tmp_path / "clean" / split)]
    assert result.changed["correct_misspellings"] == 60
    right = "The letter that we received yesterday from their government office came very late."
    assert all(text.endswith(right) for text in texts)


@pytest.mark.feature("CORP-12")
def test_altered_copies_stand_beside_training_documents_only(tmp_path):
    raw = write_raw(tmp_path / "raw")
    operations = [{"operation": "typos"}, {"operation": "swap_words"}]
    config = CleanConfig(
        validation_fraction=0.2, test_fraction=0.2, augmentation={"operations": operations, "variants": 2}
    )
    runs = {}
    for name, runner in {"one": SerialRunner(), "two": ProcessRunner(2)}.items():
        (tmp_path / name).mkdir()
        runs[name] = clean_documents(config, raw, tmp_path / name / "clean", runner=runner)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    documents = {s: list(read_documents(tmp_path / "one" / "clean" / s)) for s in SPLITS}
    originals = {d.id: d.text for d in documents["train"] if "#aug" not in d.id}
    copies = [d for d in documents["train"] if "#aug" in d.id]
    assert len(copies) == runs["one"].augmented == 2 * len(originals)
    assert all("#aug" not in d.id for s in ("validation", "test") for d in documents[s])
    assert all(originals[d.id.partition("#aug")[0]] != d.text and "typos" in d.metadata for d in copies)
    assert runs["one"].documents == 60 == runs["one"].kept + runs["one"].dropped.total()
