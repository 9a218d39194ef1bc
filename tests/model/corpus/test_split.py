"""Splits depend on ids alone, have about the promised sizes, and an empty one is explained."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.config import CleanConfig
from model.corpus.split import Splitter, fill_splits
from model.errors import CorpusError

pytestmark = pytest.mark.feature("CORP-14")
IDS = [f"texts/file-{i}.txt" for i in range(20_000)]


def splits(ids, **changes):
    splitter = Splitter(CleanConfig(**changes))
    return {name: splitter.split(name) for name in ids}


@given(st.permutations(IDS[:50]), st.integers(1, 50))
def test_split_of_a_document_depends_on_neither_order_nor_company(ids, n):
    assert splits(ids[:n]).items() <= splits(IDS[:50]).items()


def test_shares_are_about_as_asked():
    found = list(splits(IDS, validation_fraction=0.1, test_fraction=0.05).values())
    assert abs(found.count("test") / len(IDS) - 0.05) < 0.01
    assert abs(found.count("validation") / len(IDS) - 0.1) < 0.01


def test_assignment_is_the_published_one():
    for name, split in splits(IDS[:200], validation_fraction=0.3, test_fraction=0.3, split_seed=7).items():
        position = int(hashlib.sha256(f"split\x1f7\x1f{name}".encode()).hexdigest()[:16], 16) / 2**64
        assert split == ("test" if position < 0.3 else "validation" if position < 0.6 else "train")


def test_larger_test_fraction_only_adds_to_the_test_split():
    small = {name for name, split in splits(IDS, test_fraction=0.05).items() if split == "test"}
    large = {name for name, split in splits(IDS, test_fraction=0.1).items() if split == "test"}
    assert small < large


def test_another_seed_gives_another_split():
    assert splits(IDS) != splits(IDS, split_seed=1)


@given(st.lists(st.text(max_size=6), min_size=3, max_size=12, unique=True), st.integers(0, 50))
def test_three_documents_are_enough_for_three_splits_and_no_more_move_than_must(names, seed):
    config = CleanConfig(split_seed=seed)
    before = splits(names, split_seed=seed)
    moved = fill_splits(names, config)
    after = {**before, **moved}
    assert set(after.values()) == {"train", "validation", "test"}
    assert all(moved[name] != before[name] for name in moved)
    assert len(moved) == 3 - len(set(before.values()))
    assert moved == fill_splits(reversed(names), config)


def test_documents_move_only_where_a_split_would_be_empty():
    assert fill_splits(IDS[:300], CleanConfig()) == {}


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_documents_are_refused_with_a_line_to_paste(n):
    splitter = Splitter(CleanConfig())
    for name in IDS[:n]:
        splitter.split(name)
    assert len(fill_splits(IDS[:n], CleanConfig())) < 3
    with pytest.raises(CorpusError, match=rf"{n} different documents are left, expected at least 3") as error:
        splitter.check(longest=80_000)
    assert "tisslm run --set ingest.max_document_characters=10000" in str(error.value)
    with pytest.raises(CorpusError, match=r"add texts$"):
        splitter.check(longest=90)
