"""Splits depend on ids alone, have about the promised sizes, and an empty one is explained."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.config import CleanConfig
from model.corpus.split import Splitter
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


@pytest.mark.parametrize("fractions", [{"test_fraction": 0.001}, {"validation_fraction": 0.001, "test_fraction": 0.2}])
def test_empty_split_is_named_with_the_smallest_fraction_that_fills_it(fractions):
    ids = IDS[:20]
    splitter = Splitter(CleanConfig(**fractions))
    for name in ids:
        splitter.split(name)
    with pytest.raises(CorpusError) as error:
        splitter.check()
    message = str(error.value)
    key = "test_fraction" if "test split" in message else "validation_fraction"
    assert "of 20 documents" in message
    assert "ingest.max_document_characters" in message
    fraction = float(message.split(f"clean.{key} that puts one in is ")[1].split(",", maxsplit=1)[0])
    enough = splits(ids, **{**fractions, key: fraction})
    too_small = splits(ids, **{**fractions, key: fraction - 0.0001})
    assert list(enough.values()).count(key.removesuffix("_fraction")) == 1
    assert list(too_small.values()).count(key.removesuffix("_fraction")) == 0


def test_single_document_is_told_to_be_split():
    splitter = Splitter(CleanConfig())
    splitter.split("book/book.txt")
    with pytest.raises(CorpusError, match=r"at least one of 1 documents; ingest.max_document_characters splits"):
        splitter.check()
