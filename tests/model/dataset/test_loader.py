from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from small_tokenizers import small_tokenizer

from model.dataset.loader import BatchLoader
from model.dataset.shards import ShardWriter, TokenDataset
from model.errors import CheckpointError, TrainingError


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """Makes datasets of n tokens whose ids say where they stand: token i is i (below 600)."""
    made = {}

    def make(n_tokens, shard_tokens=50):
        if (n_tokens, shard_tokens) not in made:
            folder = tmp_path_factory.mktemp("counting")
            with ShardWriter(folder / "train", small_tokenizer(), shard_tokens) as writer:
                writer.append(np.arange(1, n_tokens), n_tokens)
            made[n_tokens, shard_tokens] = TokenDataset.open(folder, "train")
        return made[n_tokens, shard_tokens]

    return make


def rows(loader, n_batches):
    """The first token of every window, batch after batch, checked to be the stream itself."""
    first = []
    for _ in range(n_batches):
        inputs, targets = loader.next_batch()
        assert inputs.dtype == targets.dtype == torch.int64
        assert inputs.shape == targets.shape == (loader.batch_sequences, loader.context_length)
        assert inputs.is_contiguous()
        assert targets.is_contiguous()
        start = inputs[:, :1]
        assert torch.equal(inputs, start + torch.arange(loader.context_length))
        assert torch.equal(targets, inputs + 1)
        first += start[:, 0].tolist()
    return first


def epoch(dataset, context, seed, number):
    loader = BatchLoader(dataset, 1, context, seed)
    loader.restore({**loader.state(), "epoch": number, "window": 0})
    return rows(loader, loader.windows_in_epoch)


@pytest.mark.feature("TRAIN-07")
@given(n_tokens=st.integers(2, 300), context=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_an_epoch_visits_every_window_once_from_a_phase_below_the_context(counting, n_tokens, context, seed):
    assume(n_tokens > context)
    for number in range(3):
        starts = sorted(epoch(counting(n_tokens), context, seed, number))
        assert 0 <= starts[0] < context
        assert starts == list(range(starts[0], n_tokens - context, context))


@given(n_tokens=st.integers(20, 200), batch=st.integers(1, 9))
def test_batches_go_on_from_one_epoch_into_the_next(counting, n_tokens, batch):
    dataset = counting(n_tokens)
    expected = [start for number in range(4) for start in epoch(dataset, 8, 5, number)]
    n_batches = len(expected) // batch
    assert rows(BatchLoader(dataset, batch, 8, 5), n_batches) == expected[: n_batches * batch]


def test_epochs_differ_in_phase_and_order(counting):
    epochs = [tuple(epoch(counting(500), 16, 0, number)) for number in range(4)]
    assert len(set(epochs)) == 4
    assert len({min(starts) for starts in epochs}) > 1
    assert list(epochs[0]) != sorted(epochs[0])


@given(n_tokens=st.integers(20, 200), batch=st.integers(1, 9), context=st.integers(1, 12), cut=st.integers(0, 30))
def test_a_restored_loader_goes_on_with_the_same_batches(counting, n_tokens, batch, context, cut):
    unbroken = BatchLoader(counting(n_tokens), batch, context, 7)
    for _ in range(cut):
        unbroken.next_batch()
    state = json.loads(json.dumps(unbroken.state()))
    resumed = BatchLoader(counting(n_tokens), batch, context, 7)
    resumed.restore(state)
    for _ in range(10):
        for expected, found in zip(unbroken.next_batch(), resumed.next_batch(), strict=True):
            assert torch.equal(expected, found)
    assert unbroken.state() == resumed.state()


@given(batch=st.integers(1, 7))
def test_the_batch_size_does_not_change_the_order_of_windows_even_across_epochs(counting, batch):
    dataset = counting(101)
    one_by_one = rows(BatchLoader(dataset, 1, 10, 3), 7 * batch)
    assert rows(BatchLoader(dataset, batch, 10, 3), 7) == one_by_one


def test_shards_do_not_change_the_batches(counting):
    whole, cut = BatchLoader(counting(400, 1000), 4, 30, 5), BatchLoader(counting(400, 7), 4, 30, 5)
    assert rows(whole, 20) == rows(cut, 20)


def test_a_seed_gives_these_batches_on_every_machine(counting):
    # Written down once: a change here breaks the resumption of every run in progress.
    assert rows(BatchLoader(counting(300), 4, 16, 1234), 3) == [170, 186, 218, 90, 42, 154, 266, 202, 138, 250, 10, 234]


def test_another_seed_gives_another_order(counting):
    assert rows(BatchLoader(counting(500), 8, 8, 0), 4) != rows(BatchLoader(counting(500), 8, 8, 1), 4)


def test_a_stream_of_exactly_one_window_gives_it_every_time(counting):
    loader = BatchLoader(counting(9), 3, 8, 0)
    assert rows(loader, 2) == [0] * 6


def test_a_split_shorter_than_one_window_is_refused_in_one_line(counting):
    with pytest.raises(TrainingError, match=r"8 tokens, expected at least context_length \+ 1 = 9") as error:
        BatchLoader(counting(8), 1, 8, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("batch", "context"), [(0, 4), (1, 0), (-1, 4)])
def test_sizes_below_one_are_refused(counting, batch, context):
    with pytest.raises(TrainingError, match="expected at least 1 of each"):
        BatchLoader(counting(50), batch, context, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed 1, expected 0"),
        ({"context_length": 9}, "context_length 9, expected 8"),
        ({"n_tokens": 51}, "n_tokens 51, expected 50"),
        ({"epoch": -1}, "epoch -1, expected 0 or more"),
        ({"window": 1000}, "window 1000, expected 0 to"),
        ({"window": -1}, "window -1, expected 0 to"),
    ],
)
def test_a_position_of_another_run_or_damaged_is_refused_and_changes_nothing(counting, change, message):
    loader = BatchLoader(counting(50), 2, 8, 0)
    loader.next_batch()
    state = loader.state()
    with pytest.raises(CheckpointError, match=message):
        loader.restore({**state, **change})
    with pytest.raises(CheckpointError):
        loader.restore({})
    other = BatchLoader(counting(50), 2, 8, 0)
    other.restore(state)
    assert rows(loader, 3) == rows(other, 3)
