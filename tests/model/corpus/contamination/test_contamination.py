"""Overlap of training text with benchmarks against brute force over word n-grams, and the benchmarks' layouts."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from near_texts import plain_words, speeches_of_presidents
from pydantic import ValidationError

from model.corpus.contamination.checking import build_indexes, check_contamination
from model.corpus.contamination.config import BenchmarkFile, ContaminationConfig
from model.corpus.contamination.counting import ContaminationCount
from model.corpus.contamination.items import Item, benchmark_items, document_items
from model.corpus.contamination.ngram_index import NgramIndex
from model.corpus.contamination.report import build_contamination_report
from model.corpus.contamination.report import plain_words as compared_words
from model.corpus.documents import Document
from model.corpus.near_duplicates.words import characters_of
from model.errors import ConfigError, CorpusError

pytestmark = pytest.mark.feature("CORP-19")

LEAST = 3


def runs_of(text, n):
    """The runs of n words of an item; of a shorter one all its words, if there are enough."""
    words = plain_words(text)
    if len(words) < min(n, LEAST):
        return set()
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def all_runs(text):
    """Every run of up to 20 words of a training text."""
    words = plain_words(text)
    return {tuple(words[i : i + n]) for n in range(1, 21) for i in range(len(words) - n + 1)}


def brute_force(items, texts, n, minimum_share):
    """Rows as the report has them, and for each text its runs and whether it holds an item."""
    runs = [runs_of(item.text, n) for item in items]
    present = [all_runs(text) for text in texts]
    everything = set().union(*present)
    rows = []
    for name in dict.fromkeys(item.benchmark for item in items):
        of_it = [run for item, run in zip(items, runs, strict=True) if item.benchmark == name]
        together = set().union(*of_it)
        rows.append((
            name, len(of_it), sum(bool(run) for run in of_it), sum(bool(run & everything) for run in of_it),
            sum(bool(run) and len(run & everything) / len(run) >= minimum_share for run in of_it),
            len(together), len(together & everything),
        ))  # fmt: skip
    indexed = set().union(*runs)
    n_runs = [len(indexed & shown) for shown in present]
    holds = [any(run and len(run & shown) / len(run) >= minimum_share for run in runs) for shown in present]
    return rows, n_runs, holds


def counted(items, texts, n, minimum_share=0.7, sizes=(1,)):
    """Our rows, runs and holds, with the texts in batches."""
    count = ContaminationCount(NgramIndex.build(items, n, least_words=LEAST), minimum_share=minimum_share)
    runs, holds, done = [], [], 0
    for size in [*sizes, len(texts)]:
        batch = texts[done : done + size]
        overlap = count.add(characters_of(batch), [str(done + i) for i in range(len(batch))], first_position=done)
        runs, holds, done = runs + overlap.runs.tolist(), holds + overlap.holds_item.tolist(), done + len(batch)
    report = build_contamination_report([count], items)
    rows = [(r.benchmark, r.items, r.compared, r.overlapping, r.contaminated, r.runs, r.found) for r in report.results]
    return (rows, runs, holds), report


WORDS = st.lists(st.sampled_from(["a", "bb", "c's", "d-e", "Ff", ".", ","]), max_size=30).map(" ".join)


@given(
    st.lists(st.tuples(st.sampled_from("xy"), WORDS), max_size=8),
    st.lists(WORDS, max_size=6),
    st.integers(2, 13),
    st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    st.integers(1, 4),
)
def test_counts_agree_with_brute_force(items, texts, n, minimum_share, size):
    items = [Item(name, str(k), text) for k, (name, text) in enumerate(items) if any(c.isalpha() for c in text)]
    found, report = counted(items, texts, n, minimum_share, (size,))
    expected = brute_force(items, texts, n, minimum_share)
    assert found == expected
    assert all(example.is_checked for example in report.examples)
    assert report.documents == len(texts)


@pytest.fixture(scope="module")
def speeches():
    return speeches_of_presidents(n_words=120, every=12)


def test_leaked_items_are_found_whatever_their_case_and_punctuation(speeches):
    items = [Item("speeches", str(i), text) for i, text in enumerate(speeches[::5])]
    leaked = [items[3].text.upper(), "Before. " + items[7].text.replace(" ", "\n- ") + " After.", items[9].text[:300]]
    texts = [text for i, text in enumerate(speeches) if i % 5] + leaked
    for n in (13, 8):
        found, report = counted(items, texts, n, sizes=(7, 30))
        assert found == brute_force(items, texts, n, 0.7)
        assert report.results[0].contaminated == 2
        assert {e.item for e in report.examples[:2]} == {"3", "7"}
        assert report.examples[2].item == "9"
        assert plain_words(report.examples[2].shared.removesuffix(" ..."))[:20] == plain_words(items[9].text)[:20]


def test_batches_and_workers_make_no_difference(speeches):
    items = [Item("speeches", str(i), text) for i, text in enumerate(speeches[:20])]
    texts = [*speeches[15:40], items[0].text + " and more", items[0].text]
    index = NgramIndex.build(items, 8)
    whole = ContaminationCount(index, examples=2)
    whole.add(characters_of(texts), [str(i) for i in range(len(texts))], first_position=0)
    merged = ContaminationCount(index, examples=2)
    for begin in range(0, len(texts), 4):
        part = ContaminationCount(index, examples=2)
        part.add(
            characters_of(texts[begin : begin + 4]),
            [str(i) for i in range(begin, min(begin + 4, len(texts)))],
            first_position=begin,
        )
        merged.merge(pickle.loads(pickle.dumps(part)))
    assert build_contamination_report([merged], items) == build_contamination_report([whole], items)


def test_too_many_runs_are_sampled_evenly_and_it_is_said(speeches):
    items = [Item("speeches", str(i), text) for i, text in enumerate(speeches)] + [
        Item("short", "s", "one two three four five")
    ]
    index = NgramIndex.build(items, 8, max_ngrams=2000)
    count = ContaminationCount(index)
    count.add(characters_of(speeches[: len(speeches) // 2]), [""] * (len(speeches) // 2), first_position=0)
    report = build_contamination_report([count])
    speech, short = report.results
    assert 1000 <= len(index.hashes) <= 2000
    assert abs(speech.runs / index.sampled / len(set().union(*(runs_of(t, 8) for t in speeches))) - 1) < 0.1
    assert abs(speech.found / speech.runs - 0.5) < 0.05
    assert (short.compared, short.found) == (1, 0)


def test_runs_of_thousands_of_items_do_not_slow_a_document_down():
    items = [
        Item("forms", str(i), "this notice is printed on the back of every form number " + str(i))
        for i in range(20_000)
    ]
    index = NgramIndex.build(items, 8)
    assert len(index.items) <= 64 * len(index.hashes)
    count = ContaminationCount(index)
    overlap = count.add(
        characters_of(["this notice is printed on the back of every form number 77"]), ["d"], first_position=0
    )
    assert overlap.holds_item.tolist() == [True]
    result = build_contamination_report([count], items).results[0]
    assert (result.overlapping, result.contaminated) == (20_000, 20_000)  # four or five of five runs are in the text


def test_the_expected_number_of_false_hits_is_stated():
    index = NgramIndex.build([Item("x", "1", " ".join(map(str, range(1000))))], 8)
    count = ContaminationCount(index)
    count.add(characters_of(["w " * 5000]), ["d"], first_position=0)
    assert build_contamination_report([count]).false_hits == pytest.approx(5000 * 993 / 2**64)


@pytest.mark.parametrize("text", ["", "x" * 3_000_000, "a b " * 500_000, "\ud800 \udfff " * 1000, "...", "\0"])
def test_odd_training_texts(text):
    items = [Item("x", "1", "a b a b a b a b a b"), Item("x", "2", ""), Item("y", "3", "\ud800 . !")]
    count = ContaminationCount(NgramIndex.build(items, 8))
    overlap = count.add(characters_of([text, "y"]), ["d", "e"], first_position=0)
    assert overlap.runs.tolist() == [2 if text.startswith("a b") else 0, 0]
    assert len(build_contamination_report([count], items).results) == 2


LAYOUTS = [
    ({"query": "Q?", "choices": ["no", "yes"], "gold": 1}, "Q?\nyes"),
    ({"context": "Two and two", "continuation": "is four"}, "Two and two\nis four"),
    ({"sentence_good": "It is.", "sentence_bad": "It are."}, "It is."),
    ({"prompt": "def f():", "canonical_solution": "    pass", "task_id": "1"}, "def f():\n    pass"),
    ({"context": "He came.", "question": "Who?", "ans0": "he"}, "He came.\nWho?"),
    ({"question": "Why?", "choices": ["a", "b"]}, "Why?\na\nb"),
    ({"text": "plain"}, "plain"),
]


@pytest.mark.parametrize(("values", "expected"), LAYOUTS)
def test_known_layouts_are_recognised(tmp_path, values, expected):
    (tmp_path / "one.jsonl").write_text("\ufeff" + json.dumps(values) + "\n\n")
    assert list(benchmark_items([BenchmarkFile(path="one.jsonl")], tmp_path)) == [Item("one", "one.jsonl:1", expected)]


def test_folders_gzip_and_fields(tmp_path):
    (tmp_path / "b").mkdir()
    with gzip.open(tmp_path / "b" / "x.jsonl.gz", "wt") as file:
        file.write(json.dumps({"f": "one", "g": ["two", "three"], "h": 4}) + "\n")
    found = list(benchmark_items([BenchmarkFile(path="b", name="B", fields=("h", "g", "f"))], tmp_path))
    assert found == [Item("B/x", "x.jsonl.gz:1", "4\ntwo\nthree\none")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no items"),
        (b"{", "line 1: not JSON"),
        (b"[1]", "got a list"),
        (b'{"a": 1, "b": "x"}', "has 'a', 'b'; name some of them in `fields:`"),
        (b"[" * 100_000, "line 1: not JSON"),
    ],
)
def test_unusable_benchmarks_are_named(tmp_path, content, message):
    (tmp_path / "one.jsonl").write_bytes(content)
    with pytest.raises(CorpusError, match=message) as caught:
        list(benchmark_items([BenchmarkFile(path="one.jsonl")], tmp_path))
    assert "\n" not in str(caught.value)


def test_missing_and_broken_files_are_named(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 1000)[:40])
    for name in ("nothing.jsonl", "x.jsonl.gz"):
        with pytest.raises(CorpusError, match="cannot be read"):
            list(benchmark_items([BenchmarkFile(path=name)], tmp_path))


def test_a_check_without_benchmarks_is_refused():
    with pytest.raises(ConfigError, match=r"contamination\.benchmarks"):
        check_contamination([], ContaminationConfig())


@pytest.mark.parametrize("lengths", [(), (8, 8), (1,), (200,)])
def test_odd_lengths_are_refused(lengths):
    with pytest.raises(ValidationError, match="expected one or more"):
        ContaminationConfig(ngram_words=lengths)


def test_a_folder_of_documents_is_checked_against_files_and_the_test_split(tmp_path, speeches):
    (tmp_path / "bench.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in speeches[:10]))
    test = [Document(f"t/{i}", text, "t") for i, text in enumerate(speeches[10:20])]
    train = [
        Document(f"d/{i}", text, "d") for i, text in enumerate([*speeches[20:60], speeches[0], speeches[12] + " end"])
    ]
    config = ContaminationConfig(benchmarks=(BenchmarkFile(path="bench.jsonl", name="bench"),))
    told = {}
    report = check_contamination(
        train, config, root=tmp_path, test_items=lambda: document_items(test), on_overlap=told.__setitem__
    )
    rows = {(row["benchmark"], row["n"]): row for row in report.rows()}
    assert list(rows) == [("bench", 13), ("test split", 13), ("bench", 8), ("test split", 8)]
    assert all(row["contaminated"] == 1 for row in rows.values())
    assert {name for name, removable in told.items() if removable} == {"d/40", "d/41"}
    assert report.holding_documents == {13: 2, 8: 2}
    assert [row["item"] for row in report.example_rows() if row["n"] == 13 and row["share"] == 1] == [
        "bench.jsonl:1",
        "t/2",
    ]
    assert report.false_hits < 1e-9


def test_published_benchmarks_open_and_are_found_in_a_text_that_quotes_them():
    folder = next((p / "shared" / "data" / "benchmarks" for p in Path(__file__).resolve().parents
                   if (p / "shared" / "data" / "benchmarks").is_dir()), None)  # fmt: skip
    if folder is None:
        pytest.skip("needs the folder shared/data/benchmarks")
    config = ContaminationConfig(benchmarks=(BenchmarkFile(path=".", name="all"),), ngram_words=(8,))
    items = list(benchmark_items(config.benchmarks, folder))
    chosen = [items[i] for i in np.linspace(0, len(items) - 1, 40).astype(int) if len(plain_words(items[i].text)) >= 5]
    report = check_contamination(
        [Document(str(k), f"Quoting: {item.text.title()} (end)", "s") for k, item in enumerate(chosen)],
        config,
        root=folder,
    )
    assert len(items) > 40_000
    assert len(build_indexes(config, root=folder)[0].benchmarks) == len(report.rows())
    assert sum(row["contaminated"] for row in report.rows()) >= len(chosen)
    assert all(example.is_checked for example in report.examples)


@given(st.text("aB'é \n.,中", max_size=40))
def test_compared_words_are_words_with_single_spaces(text):
    words = compared_words(text)
    assert words == " ".join(words.split())
    assert compared_words(words) == words
