"""Packing: nothing lost, nothing twice, no target across a border, bins as a plain best-fit-decreasing makes them."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch
from grouped import grouped_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from model.dataset.config import DataConfig
from model.dataset.loader import BatchLoader
from model.dataset.packing import cut, cut_documents, pack
from model.dataset.packing_kernels import best_fit_decreasing
from model.dataset.shards import ShardWriter, TokenDataset

pytestmark = pytest.mark.feature("CORP-15")
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=40).filter(lambda lengths: sum(lengths) + len(lengths) > 13)


def unlike_tokens(folder, lengths):
    """Documents whose text tokens are all different, so that every token says where it stands."""
    at = 4
    with ShardWriter(folder / "train", WideTokenizer(), 31) as writer:
        for length in lengths:
            writer.append(np.arange(at, at + length), length)
            at += length
    return TokenDataset.open(folder, "train")


class WideTokenizer:
    digest, end_of_text_id, vocab_size = "0" * 64, 0, 60_000


def one_epoch(loader):
    return [loader.draw() for _ in range(loader.windows_in_epoch)]


def plain_best_fit(lengths, capacity):
    """Best-fit-decreasing as the textbook has it: each piece into the fullest bin that takes it."""
    bins, room = [], []
    for length in lengths:
        fitting = [(left, index) for index, left in enumerate(room) if left >= length]
        if fitting:
            index = min(fitting)[1]
            room[index] -= length
        else:
            index = len(room)
            room.append(capacity - length)
        bins.append(index)
    return bins, room


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(0, 30))
def test_bins_are_as_full_as_those_of_a_plain_best_fit_decreasing(lengths, more):
    capacity = max(lengths) + more
    lengths = sorted(lengths, reverse=True)
    bins, n_bins = best_fit_decreasing(np.array(lengths), capacity)
    _, room = plain_best_fit(lengths, capacity)
    filled = np.bincount(bins, lengths, minlength=n_bins)
    assert n_bins == len(room)
    assert sorted(capacity - filled) == sorted(room)
    assert filled.max() <= capacity


@given(LENGTHS, st.integers(1, 12))
def test_pieces_are_the_documents_cut_only_where_they_must_be(lengths, context):
    starts = np.cumsum([0, *(n + 1 for n in lengths)])
    begins, sizes, documents = cut(starts, context)
    tokens = np.concatenate([np.arange(b, b + n) for b, n in zip(begins, sizes, strict=True)])
    assert tokens.tolist() == list(range(starts[-1]))
    assert sizes.max() <= context
    for number, length in enumerate(lengths):
        of_it = sizes[documents == number]
        assert of_it.sum() == length + 1
        assert (of_it[:-1] == context).all(), "only the last piece is short"


@settings(deadline=None)
@given(LENGTHS, st.integers(2, 12), st.sampled_from(["attention", "block"]), st.booleans())
def test_an_epoch_of_packed_windows_holds_every_token_and_every_transition_once(
    tmp_path_factory, lengths, context, borders, short
):
    dataset = unlike_tokens(tmp_path_factory.mktemp("packed"), lengths)
    order = "short_first" if short else "shuffled"
    data = DataConfig(packing={"documents": "best_fit", "borders": borders}, order=order)
    loader = BatchLoader(dataset, 1, context, 3, data, end_of_text_id=0)
    pairs, inputs_seen = [], 0
    for inputs, targets, documents in one_epoch(loader):
        pairs += [(i, t) for i, t in zip(inputs[0].tolist(), targets[0].tolist(), strict=True) if t >= 0]
        inputs_seen += inputs.numel()
        assert (documents[0].diff() >= 0).all()
    flat = dataset.read(0, len(dataset)).tolist()
    inner = [(a, b) for a, b in itertools.pairwise(flat) if b != 0]
    ends = [(flat[end - 1], 0) for end in dataset.offsets[1:].tolist()]
    expected = inner + (ends if borders == "attention" else [])
    assert sorted(pairs) == sorted(expected)
    assert loader.tokens_by_group.sum() == dataset.n_tokens
    assert inputs_seen >= dataset.n_tokens


@settings(deadline=None)
@given(LENGTHS, st.integers(2, 12), st.integers(0, 5))
def test_joined_windows_keep_every_transition_but_those_across_a_border(tmp_path_factory, lengths, context, seed):
    dataset = unlike_tokens(tmp_path_factory.mktemp("joined"), lengths)
    plain = BatchLoader(dataset, 1, context, seed)
    kept = BatchLoader(dataset, 1, context, seed, DataConfig(packing={"borders": "attention"}))
    strict = BatchLoader(dataset, 1, context, seed, DataConfig(packing={"borders": "block"}))
    for _ in range(plain.windows_in_epoch):
        inputs, targets = plain.next_batch()
        same_inputs, same_targets, documents = kept.draw()
        strict_inputs, strict_targets, strict_documents = strict.draw()
        assert torch.equal(inputs, same_inputs)
        assert torch.equal(inputs, strict_inputs)
        assert torch.equal(targets, same_targets)
        assert torch.equal(documents, strict_documents)
        # a document begins at each <|endoftext|>, which is id 0, and nowhere else
        assert torch.equal(documents, (inputs == 0).long().cumsum(1) - (inputs[:, :1] == 0).long())
        assert torch.equal(strict_targets, torch.where(targets == 0, -1, targets))


def test_packing_cuts_fewer_documents_than_windows_that_fall_anywhere(tmp_path):
    lengths = np.random.default_rng(0).geometric(1 / 40, 400).clip(5, 120).tolist()
    dataset = unlike_tokens(tmp_path, lengths)
    packed = pack(dataset.offsets, 128, np.random.default_rng(1), shuffled=True)
    counts = cut_documents(dataset.offsets, 128)
    assert counts["cut_when_packed"] == 0
    assert counts["cut_when_joined"] > 100
    assert packed.utilisation > 0.98
    assert packed.n_windows <= np.ceil(dataset.n_tokens / 128) * 1.02


def test_epochs_of_packed_windows_bring_other_documents_together(tmp_path):
    dataset = grouped_dataset(tmp_path, [("a", "en", 10 + n % 4) for n in range(60)])
    epochs = []
    for number in range(2):
        packed = pack(dataset.offsets, 32, np.random.default_rng(number), shuffled=True)
        epochs.append({frozenset(packed.window(v)[2].tolist()) for v in range(packed.n_windows)})
    assert len(epochs[0] & epochs[1]) < len(epochs[0]) / 2


def test_documents_of_a_million_pieces_are_packed_in_a_moment():
    starts = np.concatenate(([0], np.cumsum(np.random.default_rng(0).integers(1, 700, 1_000_000))))
    began = time.process_time()
    packed = pack(starts, 256, np.random.default_rng(1), shuffled=True)
    assert time.process_time() - began < 20  # about one second
    assert packed.lengths.sum() == starts[-1]
    assert packed.utilisation > 0.999


def test_short_first_begins_each_epoch_with_the_shortest_documents(tmp_path):
    lengths = np.random.default_rng(0).integers(1, 60, 50).tolist()
    dataset = unlike_tokens(tmp_path, lengths)
    of_token = {t: n for n in range(len(lengths)) for t in dataset.document(n)[1:].tolist()}
    for packing in ("joined", "best_fit"):
        loader = BatchLoader(dataset, 1, 16, 0, DataConfig(order="short_first", packing={"documents": packing}))
        for _ in range(2):
            means = []
            for inputs, _, _ in one_epoch(loader):
                found = [lengths[of_token[t]] for t in inputs[0].tolist() if t]
                means.append(np.mean(found) if found else 0)
            third = len(means) // 3
            assert np.mean(means[:third]) < np.mean(means[-third:]) / 1.4
