"""Suites are editable files; a failed expectation names itself, its column and the offending documents."""

import numpy as np
import pandas as pd
import pytest

from model.corpus.documents import Document, DocumentWriter, read_documents
from model.corpus.facts import fact_row, with_history
from model.errors import ConfigError, ExpectationError
from tasks.expectations.suite import read_suite
from tasks.expectations.validation import validate

pytestmark = pytest.mark.feature("CORP-10")
SUITE = """
suite: toy
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: n, min_value: $least}
    because: small numbers break things
  - type: expect_column_values_to_be_in_set
    kwargs: {column: n, value_set: [1]}
    when: {strict: true}
    because: only one is allowed
"""


@pytest.fixture
def suites(tmp_path):
    (tmp_path / "toy.yaml").write_text(SUITE)
    return tmp_path


def check(suites, facts, **settings):
    return validate("toy", facts, suites / "docs", {"least": 0, "strict": False, **settings}, suites)


def table(numbers):
    return pd.DataFrame({"id": [f"t/{n}" for n in numbers], "n": numbers})


def test_suite_that_holds_is_summarized_with_its_page(suites):
    summary = check(suites, table([0, 1, 2]))
    assert summary.rows == 3
    assert [row["failed"] for row in summary.table()] == [0]
    assert "small numbers break things" in summary.page.read_text()


def test_failure_names_expectation_column_count_and_first_ids(suites):
    with pytest.raises(ExpectationError) as error:
        check(suites, table(list(range(-7, 5))))
    message = str(error.value)
    assert "expect_column_values_to_be_between on column n (min_value=0) failed for 7 of 12 documents" in message
    assert "t/-7 (n -7); t/-6 (n -6); t/-5 (n -5); t/-4 (n -4); t/-3 (n -3), ..." in message
    assert "t/-2" not in message


def test_stream_of_tables_is_judged_like_one_table(suites):
    numbers = list(range(-3, 30))
    whole, stream = table(numbers), (table(numbers[i : i + 4]) for i in range(0, len(numbers), 4))
    messages = []
    for facts in (whole, stream):
        with pytest.raises(ExpectationError) as error:
            check(suites, facts)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_rows_without_ids_are_named_by_number(suites):
    with pytest.raises(ExpectationError, match=r"row 4 \(n -1\)"):
        check(suites, iter([pd.DataFrame({"n": [0, 0, 0]}), pd.DataFrame({"n": [0, -1]})]))


def test_condition_and_setting_come_from_the_stage(suites):
    check(suites, table([1, 1]), strict=True)
    with pytest.raises(ExpectationError, match="only one is allowed"):
        check(suites, table([1, 2]), strict=True)
    check(suites, table([-5]), least=-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (": : :", "not valid YAML"),
        ("expectations: []", "at least one entry"),
        ("expectations: [{type: x}]", "expectation 1: expected the keys type, kwargs, because"),
        ("expectations: [{type: expect_nothing, kwargs: {}, because: x}]", "expect_nothing"),
        (
            "expectations: [{type: expect_column_values_to_not_be_null, kwargs: {colum: n}, because: x}]",
            "expect_column_values_to_not_be_null {'colum': 'n'}",
        ),
        (
            "expectations: [{type: expect_column_values_to_not_be_null, kwargs: {column: m}, because: x}]",
            "wants the column 'm'; the facts have id, n",
        ),
        (
            "expectations: [{type: expect_column_mean_to_be_between, kwargs: {column: id, min_value: 1}, because: x}]",
            "could not be checked",
        ),
        ("expectations: [{type: x, kwargs: {a: $nope}, because: x}]", "no setting 'nope' in this stage; it has least"),
    ],
)
def test_wrong_suite_is_one_line(suites, text, message):
    (suites / "toy.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        check(suites, table([1]))
    assert message in str(error.value)
    assert "toy.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_suite_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: no such suite"):
        read_suite("none", {}, tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("n_tokens", 1), ("n_bytes", 0), ("min_id", -1), ("max_id", 100), ("bytes_per_token", 0.01)],
)
def test_tokens_suite_catches_each_kind_of_damage(tmp_path, column, value):
    n = np.arange(2, 12)
    good = pd.DataFrame(
        {"n_tokens": n, "n_bytes": n * 3, "bytes_per_token": 3.0, "min_id": 0, "max_id": 99, "vocab_size": 100}
    )
    assert validate("tokens", good, tmp_path).rows == 10
    bad = good.astype({column: type(value)})
    bad.loc[4, column] = value
    with pytest.raises(ExpectationError, match="failed for 1 of 10 documents") as error:
        validate("tokens", bad, tmp_path)
    assert column in str(error.value)
    assert "row 4" in str(error.value)


def test_facts_know_what_came_before_across_tables(tmp_path):
    with DocumentWriter(tmp_path) as writer:
        for i in range(5):
            writer.write(Document(f"t/{i % 4}", "é\nb" if i % 2 else f"text {i}", "t"))
    facts = pd.concat(list(with_history((fact_row(d, "train") for d in read_documents(tmp_path)), batch_documents=2)))
    assert facts["id_seen_before"].tolist() == [False, False, False, False, True]
    assert facts["text_seen_before"].tolist() == [False, False, False, True, False]
    assert facts.iloc[1][["characters", "bytes", "lines", "words"]].tolist() == [3, 4, 2, 2]
