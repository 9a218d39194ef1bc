"""Split by time: newest judge, nothing newer trains, clusters stay whole, and what has no date is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.corpus.config import CleanConfig
from model.corpus.split import Splitter
from model.corpus.split_by_time import find_boundaries, moment_of
from model.errors import CorpusError

pytestmark = pytest.mark.feature("CORP-14")
DATES = st.dates().map(str) | st.integers(1000, 2026).map(str) | st.datetimes().map(lambda d: d.isoformat())


def split_all(dates, test=0.1, validation=0.1, undated="refuse"):
    boundaries = find_boundaries(((f"d/{i}", date) for i, date in enumerate(dates)), test, validation, undated)
    splitter = Splitter(CleanConfig(test_fraction=test, validation_fraction=validation), boundaries)
    found = [splitter.split(f"d/{i}", date) for i, date in enumerate(dates)]
    splitter.check()
    return boundaries, found


@given(st.lists(DATES, min_size=3, max_size=200), st.floats(0.01, 0.3), st.floats(0.01, 0.3), st.randoms())
def test_nothing_that_trains_is_newer_than_what_judges_and_shares_are_reached(dates, test, validation, draw):
    if len({moment_of(date) for date in dates}) < 3:
        return
    boundaries, found = split_all(dates, test, validation)
    moments = {s: [moment_of(d) for d, of in zip(dates, found, strict=True) if of == s] for s in set(found)}
    assert set(moments) == {"train", "validation", "test"}
    assert max(moments["train"]) < min(moments["validation"]) == boundaries.validation_from
    assert max(moments["validation"]) < min(moments["test"]) == boundaries.test_from
    # as many as asked for, unless a date more would leave another split empty
    if found.count("test") < test * len(dates):
        assert len({*moments["validation"], *moments["train"]}) == 2
    shuffled = dates.copy()
    draw.shuffle(shuffled)
    assert split_all(shuffled, test, validation)[0] == boundaries


def test_default_corpus_dates_give_the_last_addresses_to_test():
    boundaries, found = split_all([f"{year}-01-08" for year in range(1790, 2027)], test=0.05, validation=0.05)
    assert found.count("test") == 12
    assert boundaries.test_from == "2015-01-08T00:00:00"
    assert [row["split"] for row in boundaries.rows()] == ["train", "validation", "test"]
    assert boundaries.rows()[0]["from"] == "1790-01-08"


@pytest.mark.parametrize(
    ("created", "moment"),
    [
        ("2005", "2005-01-01T00:00:00"),
        ("2005-03", "2005-03-01T00:00:00"),
        (" 2005-03-09 ", "2005-03-09T00:00:00"),
        ("2005-03-09T12:00:00+02:00", "2005-03-09T10:00:00"),
        ("2005-03-09T12:00:00Z", "2005-03-09T12:00:00"),
        ("0001-01-01T00:00:00+05:00", None),
        ("March 9, 2005", None),
        ("2005-13", None),
        ("", None),
        ("9" * 10_000, None),
    ],
)
def test_dates_are_compared_in_one_form(created, moment):
    assert moment_of(created) == moment


def test_documents_without_a_date_are_refused_with_examples_or_train_when_told():
    dates = ["2001", "", "2002", "soon", "2003", "2004"]
    with pytest.raises(
        CorpusError, match=r"2 of 6 documents have no ISO date, the first: d/1 \(created ''\), d/3"
    ) as error:
        split_all(dates)
    assert "tisslm run --set clean.undated=train" in str(error.value)
    boundaries, found = split_all(dates, undated="train")
    assert found == ["train", "train", "train", "train", "validation", "test"]
    assert boundaries.undated == 2


def test_too_few_dates_for_three_splits_are_refused():
    with pytest.raises(CorpusError, match="2 different dates, expected at least 3"):
        split_all(["2001", "2002", "2002"])


CLUSTERS = st.lists(st.tuples(st.integers(0, 9), st.integers(1990, 2010)), min_size=12, max_size=80)


@given(CLUSTERS, st.sampled_from(["hash", "time"]))
def test_no_cluster_of_near_duplicates_lies_on_two_sides(documents, how):
    """As `clean` calls it: with the id of the cluster's first document and the cluster's earliest date."""
    first, earliest = {}, {}
    for index, (cluster, year) in enumerate(documents):
        first.setdefault(cluster, f"d/{index}")
        earliest[cluster] = min(str(year), earliest.get(cluster, "9999"))
    keys = [(first[cluster], earliest[cluster]) for cluster, _ in documents]
    if how == "time" and len(set(earliest.values())) < 3:
        return
    config = CleanConfig(test_fraction=0.3, validation_fraction=0.3)
    boundaries = find_boundaries(keys, 0.3, 0.3) if how == "time" else None
    splitter = Splitter(config, boundaries)
    sides = {}
    for (cluster, _), key in zip(documents, keys, strict=True):
        sides.setdefault(cluster, set()).add(splitter.split(*key))
    assert all(len(found) == 1 for found in sides.values())
