"""Shares against published formulas, draws against their promise, batches against the documents they come from."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from grouped import grouped_dataset
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from model.dataset.config import DataConfig, Mixture
from model.dataset.loader import BatchLoader
from model.dataset.mixture import Draws, epochs_beyond_cap, mixture_shares, unimax_budgets
from model.dataset.realised import mixture_rows
from model.dataset.shards import TokenDataset
from model.errors import CheckpointError, ConfigError, IntegrityError
from model.files import read_json, write_json

pytestmark = pytest.mark.feature("CORP-07", "CORP-06")
SIZES = {"en": 9000, "de": 900, "fr": 90, "is": 10}
STRATEGIES = [
    {"strategy": "as_is"},
    {"strategy": "proportional", "by": "source"},
    {"strategy": "weights", "by": "language", "weights": {"en": 1, "*": 0.5}},
    {"strategy": "temperature", "temperature": 5.0},
    {"strategy": "unimax", "by": "source_language", "max_epochs": 3.0},
]


def mixture(**values):
    return TypeAdapter(Mixture).validate_python(values)


def documents(seed=0, n=60):
    draw = random.Random(seed)
    languages = ["en"] * 12 + ["de"] * 3 + ["is"]
    return [(draw.choice("ab"), draw.choice(languages), draw.choice([0, 1, 5, 30, 90])) for _ in range(n)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return grouped_dataset(tmp_path_factory.mktemp("grouped"), documents())


def test_temperature_gives_the_exponents_of_xlm_r():
    shares = mixture_shares(mixture(strategy="temperature", temperature=10 / 3), SIZES, 0)
    powers = {name: (size / 10_000) ** 0.3 for name, size in SIZES.items()}  # alpha = 0.3, XLM-R eq. 1
    for name in SIZES:
        assert shares[name] == pytest.approx(powers[name] / sum(powers.values()), abs=1e-9)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 10**12), min_size=1), st.integers(1, 10**12))
def test_shares_sum_to_one_and_one_and_infinite_temperature_are_proportional_and_even(sizes, budget):
    total = sum(sizes.values())
    proportional = mixture_shares(mixture(strategy="temperature", temperature=1), sizes, budget)
    even = mixture_shares(mixture(strategy="temperature", temperature=1e6), sizes, budget)
    for name, size in sizes.items():
        assert proportional[name] == pytest.approx(size / total, abs=1e-9)
        assert even[name] == pytest.approx(1 / len(sizes), abs=1e-3)
    for strategy in ("unimax", "proportional"):
        assert sum(mixture_shares(mixture(strategy=strategy), sizes, budget).values()) == pytest.approx(1)


def published_unimax(counts, budget, epochs):
    """Algorithm 1 of arXiv:2304.09151 line by line."""
    ordered = sorted(counts)
    left, given_, i = budget, [], 0
    for count in ordered:
        per_language = left / (len(ordered) - i)
        given_.append(count * epochs if per_language > count * epochs else per_language)
        left, i = left - given_[-1], i + 1
    return ordered, given_


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=20, unique=True),
    st.integers(1, 10**10),
    st.floats(0.1, 20),
)
def test_unimax_is_the_published_algorithm(counts, budget, epochs):
    found = unimax_budgets({str(count): float(count) for count in counts}, float(budget), epochs)
    for count, expected in zip(*published_unimax(counts, budget, epochs), strict=True):
        assert found[str(count)] == pytest.approx(expected)
        assert found[str(count)] <= count * epochs * (1 + 1e-12)


def test_unimax_is_even_until_the_cap_bites():
    found = unimax_budgets({"big": 1000.0, "mid": 500.0, "small": 10.0}, 600.0, 4)
    assert found == {"big": 280.0, "mid": 280.0, "small": 40.0}


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=30), st.integers(0, 10**6), st.integers(1, 400))
def test_every_group_keeps_within_a_draw_or_two_of_its_share_at_every_moment(weights, seed, n):
    shares = np.array(weights) / sum(weights)
    draws = Draws(shares.tolist(), seed)
    for step in range(1, n + 1):
        draws.next()
        assert draws.drawn.sum() == step
        # one draw against the strides' own time, which is at most a draw of each group away from the number of draws
        assert np.all(np.abs(draws.drawn - shares * step) <= 1 + shares * len(shares))


def test_a_group_of_share_zero_is_never_drawn():
    draws = Draws([0.0, 0.7, 0.0, 0.3], seed=3)
    assert {draws.next() for _ in range(500)} == {1, 3}


def test_rare_groups_begin_at_any_moment_and_in_the_mean_get_their_share():
    first = []
    for seed in range(400):
        draws = Draws([0.98, 0.02], seed)
        first.append(next(n for n in range(200) if draws.next() == 1))
    assert 20 < np.mean(first) < 30  # uniform on 0..50
    assert min(first) < 5
    assert max(first) > 44


@pytest.mark.parametrize("values", STRATEGIES, ids=lambda values: values["strategy"])
@pytest.mark.parametrize("packing", ["joined", "best_fit"])
def test_after_two_kills_the_batches_are_those_of_an_unbroken_run(dataset, values, packing):
    data = DataConfig(mixture=values, packing={"documents": packing, "borders": "block"})

    def loader():
        return BatchLoader(dataset, 3, 24, 11, data, budget=10_000)

    unbroken = loader()
    expected = [unbroken.draw() for _ in range(60)]
    found, state = [], None
    for part in (17, 1, 42):
        resumed = loader()
        if state is not None:
            resumed.restore(state)
        found += [resumed.draw() for _ in range(part)]
        state = json.loads(json.dumps(resumed.state()))
        assert len(json.dumps(state)) < 1000
    assert state == unbroken.state()
    for mine, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("values", STRATEGIES[1:], ids=lambda values: values["strategy"])
def test_realised_shares_are_those_asked_for_and_counts_are_of_the_tokens_given(dataset, values):
    loader = BatchLoader(dataset, 4, 24, 2, DataConfig(mixture=values), budget=4 * 24 * 500)
    text = documents()
    groups = [(g.source, g.language) for g in dataset.groups]
    counted = np.zeros(len(groups), np.int64)
    of_id = {4 + i: groups.index((s, language)) for i, (s, language, n) in enumerate(text) if n}
    for _ in range(500):
        inputs, _ = loader.next_batch()
        ids, uses = np.unique(inputs.numpy(), return_counts=True)
        for i, n in zip(ids.tolist(), uses.tolist(), strict=True):
            if i != 0:
                counted[of_id[i]] += n
    assert loader.tokens_by_group.sum() == 4 * 24 * 500
    ends = loader.tokens_by_group - counted  # the <|endoftext|> of each document
    assert (ends >= 0).all()
    by = loader.data.mixture.by
    seen, asked = {}, {}
    for row in mixture_rows(loader):
        key = {"source": row["source"], "language": row["language"]}.get(by, f"{row['source']}/{row['language']}")
        seen[key] = seen.get(key, 0) + row["seen"]
        asked[key] = asked.get(key, 0) + row["asked"]
    for key, share in loader.shares.items():
        assert asked[key] == pytest.approx(share, abs=1e-4)
        assert seen[key] == pytest.approx(share, abs=2e-3)


def test_unimax_repeats_no_group_more_often_than_its_cap(tmp_path):
    dataset = grouped_dataset(tmp_path, [("s", "big", 4000), ("s", "mid", 900), ("s", "small", 150)])
    data = DataConfig(mixture={"strategy": "unimax", "max_epochs": 2.0})
    loader = BatchLoader(dataset, 4, 16, 0, data, budget=4 * 16 * 60)
    for _ in range(60):
        loader.draw()
    epochs = {row["language"]: row["epochs"] for row in mixture_rows(loader)}
    assert epochs["small"] == pytest.approx(2.0, abs=0.2)
    assert epochs["mid"] <= 2.1
    assert epochs["big"] < 1


def test_a_run_longer_than_unimax_allows_is_noticed_and_proportional():
    capped = mixture(strategy="unimax", max_epochs=2.0)
    assert epochs_beyond_cap(capped, 10_000, 20_000) is None
    assert epochs_beyond_cap(capped, 10_000, 35_000) == 3.5
    assert epochs_beyond_cap(mixture(strategy="proportional"), 10_000, 10**9) is None
    shares = mixture_shares(capped, SIZES, 35_000)
    assert shares == {name: pytest.approx(size / 10_000) for name, size in SIZES.items()}


def test_a_language_shorter_than_a_window_goes_round(tmp_path):
    dataset = grouped_dataset(tmp_path, [("s", "big", 4000), ("s", "tiny", 5)])
    loader = BatchLoader(dataset, 8, 32, 0, DataConfig(mixture={"strategy": "temperature", "temperature": 1e6}))
    for _ in range(4):
        inputs, targets = loader.next_batch()
        tiny = (inputs == 5).any(dim=1)
        assert tiny.sum() == 4
        assert set(inputs[tiny].flatten().tolist()) == {0, 5}
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert ((inputs[tiny] == 0).sum(dim=1) >= 5).all(), "six tokens a round"


def test_weights_that_name_no_group_are_refused_with_those_that_do(dataset):
    def loader(weights):
        return BatchLoader(dataset, 1, 8, 0, DataConfig(mixture={"strategy": "weights", "weights": weights}))

    with pytest.raises(ConfigError, match=r"'c': no such source in the tokens, expected of: [ab], [ab]"):
        loader({"a": 1, "c": 2})
    with pytest.raises(ConfigError, match=r"no weight for b; add each \(0 leaves it out\) or '\*'"):
        loader({"a": 1})
    with pytest.raises(ConfigError, match="every source of the tokens has weight 0"):
        loader({"a": 0, "b": 0, "*": 1})
    inputs, _ = loader({"a": 1, "b": 0}).next_batch()
    assert inputs.shape == (1, 8)


@pytest.mark.parametrize("weights", [{"a": -1.0}, {"a": 0.0}, {}, {"a": float("nan")}])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"weight|at least 1"):
        DataConfig(mixture={"strategy": "weights", "weights": weights})


def test_a_position_in_another_mixture_is_refused(dataset):
    mixed = BatchLoader(dataset, 1, 8, 0, DataConfig(mixture={"strategy": "proportional"}))
    plain = BatchLoader(dataset, 1, 8, 0)
    for mine, other in ((mixed, plain), (plain, mixed)):
        with pytest.raises(CheckpointError, match="another mixture"):
            mine.restore(other.state())


def test_tokens_without_groups_still_open_and_are_one_group(tmp_path):
    dataset = grouped_dataset(tmp_path, [("", "", 30), ("", "", 50)])
    assert not (tmp_path / "train" / "groups.bin").exists()
    assert [(g.source, g.language, g.tokens) for g in dataset.groups] == [("", "", 82)]
    plain = BatchLoader(dataset, 2, 8, 0)
    mixed = BatchLoader(dataset, 2, 8, 0, DataConfig(mixture={"strategy": "proportional"}))
    assert torch.equal(plain.next_batch()[0], mixed.next_batch()[0])
    assert plain.realised()[dataset.groups[0]] == (16, 16 / 82)


def test_groups_that_do_not_add_up_are_named(tmp_path):
    grouped_dataset(tmp_path, [("a", "en", 30), ("b", "de", 50)])
    meta = read_json(tmp_path / "train" / "meta.json")
    meta["groups"][0]["tokens"] += 1
    write_json(tmp_path / "train" / "meta.json", meta)
    with pytest.raises(IntegrityError, match="groups have 83 tokens, expected 82"):
        TokenDataset.open(tmp_path, "train")


def test_default_batches_do_not_look_at_groups(tmp_path, dataset):
    nameless = grouped_dataset(tmp_path, [("", "", n) for _, _, n in documents()])
    mine, other = BatchLoader(dataset, 3, 16, 5), BatchLoader(nameless, 3, 16, 5)
    for _ in range(30):
        assert all(torch.equal(x, y) for x, y in zip(mine.next_batch(), other.next_batch(), strict=True))
    assert mine.tokens_by_group.sum() == other.tokens_by_group.sum() == 30 * 48
