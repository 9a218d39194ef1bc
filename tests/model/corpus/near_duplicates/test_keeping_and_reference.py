"""Which copies stay, copies of a reference set, and the whole way from documents to a report."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from near_texts import edited, planted, speeches_of_presidents, true_pairs

from model.corpus.deduplicate import exact_first, text_digest
from model.corpus.documents import Document
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.finding import find_near_duplicates
from model.corpus.near_duplicates.keep import choose_kept
from model.corpus.near_duplicates.reference import near_reference
from model.corpus.near_duplicates.shingle_file import HASHES, ShingleFiles, ShingleWriter
from model.corpus.near_duplicates.shingles import shingles
from model.corpus.near_duplicates.signatures import signatures_of
from model.corpus.near_duplicates.words import characters_of
from model.errors import IntegrityError

pytestmark = pytest.mark.feature("CORP-05")

EXACT = NearDuplicatesConfig()


@given(st.lists(st.integers(0, 12).map(str)))
def test_exact_first_is_the_first_index_of_each_text(texts):
    digests = np.frombuffer(b"".join(map(text_digest, texts)), "S16")
    expected = [texts.index(text) for text in texts]
    assert exact_first(digests).tolist() == expected
    assert exact_first(np.ascontiguousarray(digests).view("<u8").reshape(-1, 2)).tolist() == expected


def test_digests_that_differ_in_one_half_only_or_end_in_zeros_are_different():
    halves = np.array([[1, 2], [1, 3], [2, 2], [1, 2], [0, 0], [1, 0], [0, 0], [1, 0]], np.uint64)
    assert exact_first(halves).tolist() == [0, 1, 2, 0, 4, 5, 4, 5]
    assert exact_first(halves.view("S16").ravel()).tolist() == [0, 1, 2, 0, 4, 5, 4, 5]


def test_lone_surrogates_have_digests():
    assert text_digest("\ud800") != text_digest("\ud801")


@given(st.data(), st.sampled_from(["first", "longest", "most_recent"]))
def test_kept_documents_are_the_best_of_their_clusters(data, keep):
    n = data.draw(st.integers(0, 12))
    raw = data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    labels = np.array([raw.index(value) for value in raw], np.int64)
    lengths = np.array(data.draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)), np.int64)
    created = data.draw(st.lists(st.sampled_from(["", "1999", "2001-02-03", "2001-02-04"]), min_size=n, max_size=n))
    kept = choose_kept(labels, np.arange(n), lengths, created, keep)
    for _, group in itertools.groupby(sorted(range(n), key=lambda i: labels[i]), key=lambda i: labels[i]):
        members = list(group)
        best = {
            "first": members[0],
            "longest": max(members, key=lambda i: (lengths[i], -i)),
            "most_recent": max(members, key=lambda i: (created[i], -i)),
        }[keep]
        assert [i for i in members if kept[i]] == [best]
    alone = choose_kept(labels, np.arange(n), lengths, created, keep, drop_all=True)
    assert alone.tolist() == [bool((labels == label).sum() == 1) for label in labels]


def test_equal_and_near_copies_are_one_cluster():
    clusters, exact_of = np.array([0, 1, 1, 3, 4]), np.array([0, 0, 2, 3, 3])
    kept = choose_kept(clusters, exact_of, np.array([1, 1, 9, 1, 1]), [""] * 5, "longest")
    assert kept.tolist() == [False, False, True, True, False]


def made_of(texts):
    made = shingles(characters_of(texts), 5)
    return signatures_of(made, EXACT), lambda i: made.hashes[made.starts[i] : made.starts[i + 1]]


def test_copies_of_a_reference_set_are_flagged():
    pieces = speeches_of_presidents(every=8)
    reference, texts = pieces[::3], planted(pieces, 11)
    signatures, of = made_of(texts)
    reference_signatures, reference_of = made_of(reference)
    flagged = near_reference(
        signatures, reference_signatures, EXACT, shingles_of=of, reference_shingles_of=reference_of, batch=100
    )
    truth = {(j - len(reference), i) for i, j in true_pairs(reference + texts, 0.8) if i < len(reference) <= j}
    found = {(i, int(other)) for i, other in enumerate(flagged) if other >= 0}
    assert len(truth) > 40
    assert len({i for i, _ in truth} & {i for i, _ in found}) >= 0.99 * len({i for i, _ in truth})
    assert found <= truth


def test_an_empty_reference_flags_nothing():
    signatures, of = made_of(["some text of some words", ""])
    nothing = made_of([])[0]
    assert near_reference(signatures, nothing, EXACT, shingles_of=of, reference_shingles_of=of).tolist() == [-1, -1]
    equal = near_reference(signatures, signatures, EXACT, shingles_of=of, reference_shingles_of=of)
    assert equal.tolist() == [0, -1]  # a text without words repeats nothing


def corpus():
    pieces = speeches_of_presidents(every=30)
    draw = random.Random(3)
    near = [edited(piece, 0.01, draw, ["never"]) for piece in pieces[:20]]
    texts = [("a", text) for text in pieces] + [("b", text) for text in near] + [("b", pieces[0]), ("b", pieces[-1])]
    return [
        Document(f"{source}/{i}", text, source, created=f"{1900 + i}") for i, (source, text) in enumerate(texts)
    ], len(pieces)


def test_report_counts_exact_and_near_copies_and_shows_the_largest_clusters():
    documents, n = corpus()
    report = find_near_duplicates(documents, EXACT)
    texts = [document.text for document in documents]
    copies = {j for i, j in true_pairs(texts, 0.8)}
    n_equal = len(texts) - len(set(texts))
    assert report.documents == len(documents)
    assert set(report.dropped_ids) == {documents[j].id for j in copies}
    assert (report.exact_copies, report.near_copies) == (n_equal, len(copies) - n_equal)
    assert report.kept + report.exact_copies + report.near_copies == report.documents
    assert report.within_sources + report.across_sources == report.clusters == sum(n for *_, n in report.sizes)
    assert report.largest[0][0] == 3
    rows = report.rows()
    first = [row for row in rows if row["cluster"] == 1]
    assert [row["id"] for row in first] == ["a/0", f"b/{n}", f"b/{n + 20}"]
    assert [row["kept"] for row in first] == [True, False, False]
    assert first[0]["begins"].startswith(" ".join(documents[0].text.split())[:40])
    assert first[2]["similarity"] == 1.0
    assert {row["what"]: row["n"] for row in report.summary_rows()}["documents"] == len(documents)


def test_most_recent_and_drop_all_and_within_source():
    documents, n = corpus()
    recent = find_near_duplicates(documents, NearDuplicatesConfig(keep="most_recent"))
    assert "a/0" in recent.dropped_ids
    assert f"b/{n + 20}" not in recent.dropped_ids
    nothing = find_near_duplicates(documents, NearDuplicatesConfig(copies="drop_all"))
    assert {"a/0", f"b/{n}", f"b/{n + 20}"} <= set(nothing.dropped_ids)
    within = find_near_duplicates(documents, NearDuplicatesConfig(within="source"))
    assert within.across_sources == 0
    assert "a/0" not in within.dropped_ids
    assert within.exact_copies == 0


def test_no_documents_make_an_empty_report():
    report = find_near_duplicates([], EXACT)
    assert (report.documents, report.clusters, report.rows()) == (0, 0, [])


def test_shingles_come_back_from_several_folders(tmp_path):
    texts = [["one two three four five six", ""], [], ["a b c"]]
    for number, part in enumerate(texts):
        with ShingleWriter(tmp_path / str(number)) as writer:
            for text in part:
                writer.write(shingles(characters_of([text]), 5))
    files = ShingleFiles([tmp_path / str(number) for number in range(3)])
    flat = shingles(characters_of([text for part in texts for text in part]), 5)
    assert len(files) == 3
    for i in range(3):
        assert files(i).tolist() == (flat.hashes[flat.starts[i] : flat.starts[i + 1]] >> np.uint64(32)).tolist()


def test_torn_shingle_files_are_refused(tmp_path):
    with ShingleWriter(tmp_path) as writer:
        writer.write(shingles(characters_of(["one two three four five six"]), 5))
    (tmp_path / HASHES).write_bytes(b"1234")
    with pytest.raises(IntegrityError, match="incomplete"):
        ShingleFiles([tmp_path])
    (tmp_path / HASHES).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        ShingleFiles([tmp_path])
