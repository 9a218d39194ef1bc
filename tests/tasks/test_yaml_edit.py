"""One value is set, every other byte stays."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.yaml_edit import NotASectionError, flow, set_value

pytestmark = pytest.mark.feature("PIPE-07")

TEXT = """\
# head
a:  # section a
  x: 1   # one
  # about y
  y: "two"

# about b
b:
  - p: 1
    q: [1, 2]  # both
  # about c
c: {k: 1}
d:
"""
PATHS = [p.split(".") for p in ("a.x", "a.y", "a.new", "b", "c.k", "c.new", "d", "d.k", "e", "e.f.g")]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(path=st.sampled_from(PATHS), value=values)
def test_the_value_comes_back_and_nothing_else_changes(path: list[str], value: Any) -> None:
    expected = yaml.safe_load(TEXT)
    place = expected
    for name in path[:-1]:
        if place.get(name) is None:
            place[name] = {}
        place = place[name]
    place[path[-1]] = value
    edited = set_value(TEXT, path, value)
    assert yaml.safe_load(edited) == expected
    for comment in ("# head", "# section a", "# one", "# about y", "# about b"):
        assert comment in edited
    assert set_value(edited, path, value) == edited


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["a", "x"], 100, "x: 1   # one", "x: 100   # one"),
        (["a", "y"], "on", 'y: "two"', "y: 'on'"),
        (["a", "z"], 3, "a:  # section a\n", "a:  # section a\n  z: 3\n"),
        (["b"], [{"p": 2}], "b:\n  - p: 1\n    q: [1, 2]  # both\n", "b: [{p: 2}]\n"),
        (["c", "l"], None, "c: {k: 1}", "c: {k: 1, l: null}"),
        (["d"], 5, "d:\n", "d: 5\n"),
        (["d", "k"], 5, "d:\n", "d: {k: 5}\n"),
        (["e", "f"], 5, "d:\n", "d:\ne:\n  f: 5\n"),
    ],
)
def test_the_new_text_reads_as_a_person_would_write_it(path: list[str], value: Any, old: str, new: str) -> None:
    assert set_value(TEXT, path, value) == TEXT.replace(old, new)


def test_a_key_inside_one_value_is_refused() -> None:
    with pytest.raises(NotASectionError):
        set_value(TEXT, ["a", "x", "deep"], 1)


def test_an_empty_text_gets_its_first_section() -> None:
    assert set_value("", ["a", "b"], 1) == "a:\n  b: 1\n"


def test_small_numbers_are_numbers_in_every_yaml() -> None:
    assert flow(1e-05) == "1.0e-05"
