"""Numbers as a reader expects them: aligned decimals, separators, words for keys."""

from __future__ import annotations

import pytest

from model.evaluation.tables import columns, number, setting, spoken

pytestmark = pytest.mark.feature("EVAL-07")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (12345.6, "12,346"),
        (286.137, "286.1"),
        (27.4321, "27.43"),
        (1.88857, "1.889"),
        (0.000254, "0.0003"),
        (-0.5, "−0.5000"),
        (0, "0"),
    ],
)
def test_number_has_the_digits_that_its_size_deserves(value, text):
    assert number(value) == text


def test_numbers_of_a_column_have_the_same_decimals():
    (column,) = columns([{"bits": 1.8885}, {"bits": 12.5}, {"bits": None}, {"bits": 300.123}])

    assert column.numeric
    assert column.cells == ["1.9", "12.5", "", "300.1"]


def test_columns_keep_their_order_and_miss_nothing():
    shown = columns([{"id": "a", "tokens": 12000}, {"id": "b", "bytes": 5}])

    assert [(c.heading, c.numeric, c.cells) for c in shown] == [
        ("id", False, ["a", "b"]),
        ("tokens", True, ["12,000", ""]),
        ("bytes", True, ["", "5"]),
    ]


def test_long_cells_are_shortened():
    (column,) = columns([{"text": "x" * 5000}])

    assert len(column.cells[0]) == 300
    assert column.cells[0].endswith("…")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("bits_per_byte", "bits per byte"),
        ("peak_memory_mb", "peak memory (MB)"),
        ("decode_tokens_per_second", "decode tokens/s"),
        ("timeout_s", "timeout (s)"),
    ],
)
def test_keys_are_spoken_with_their_units(key, words):
    assert spoken(key) == words


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, ""), (3, "3"), ("gpt4", "gpt4"), (["é", 1], '["é", 1]'), (1e-5, "1e-05")]
)
def test_settings_look_as_in_params_yaml(value, text):
    assert setting(value) == text
