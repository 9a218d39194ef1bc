"""What people write into params.yaml: slips are refused with their line, in every command that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from tasks.params import Params, parse_params, read_params
from tasks.params_edit import edit_params, parse_assignments
from tasks.yaml_read import read_yaml

TEXTS = st.text("aeiouyn :#-&*!|>%@`\"'\\[]{},.0123é中", max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
NUMBERS = sorted(
    key for key, value in Params().flat().items() if isinstance(value, int | float) and not isinstance(value, bool)
)


@given(values=VALUES)
def test_any_yaml_is_read_as_pyyaml_reads_it(values: Any) -> None:
    text = yaml.safe_dump(values, allow_unicode=True)
    assert read_yaml(text, "file")[0] == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pretrain:\n  steps: yes\n", "line 2: pretrain.steps = yes: YAML reads this as true, expected a number; give"),
        ("pretrain:\n  steps: 10\npretrain:\n  steps: 20\n", "line 3: pretrain stands there a second time .* line 1"),
        (
            "clean:\n  filters: [{filter: language, keep: [no, en]}]\n",
            "line 2: clean.filters.0.keep.0 = no: .* quote it",
        ),
        ("pretrain:\n  seed: 1\n  model:\n    d_ff: 8\n    d_ff: 9\n", "line 5: pretrain.model.d_ff stands there a"),
        ("pretrain: {seed: 1, seed: 2}\n", "line 1: pretrain.seed stands there a second time"),
        ("pretrain:\n  model: {embedding: {cutoffs: [on]}}\n", "line 2: pretrain.model.embedding.cutoffs.0 = on"),
        ("pretrain:\n\tsteps: 10\n", "line 2, column 1: not valid YAML: .*spaces, not tabs"),
        ("pretrain:\n  steps: [10\nclean: {}\n", "line 3, column 6: not valid YAML"),
        ("pretrain:\n  steps: 1\n  step: 2\n", "line 3: pretrain.step: unknown key; did you mean pretrain.steps"),
        ("pretrain:\n  steps: 0\n", "line 2: pretrain.steps = 0: should be greater than or equal to 1"),
        ("publish:\n  name: 2026-13-45\n", "params.yaml: not valid YAML|name"),
    ],
)
def test_a_slip_in_the_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_params(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        edit_params(path, {"tokenizer.vocab_size": 300})
    assert path.read_text() == text


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("pretrain:\n  steps: 1 # für\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("key", NUMBERS)
def test_no_number_takes_true_for_one(key: str) -> None:
    sections: Any = True
    for name in reversed(key.split(".")):
        sections = {name: sections}
    with pytest.raises(ConfigError, match=rf"{key} = true: expected a number"):
        parse_params(sections)


@pytest.mark.parametrize(
    "assignment", ["pretrain.model.n_layers=true", "clean.filters=[{filter: language, keep: [true]}]"]
)
def test_an_override_is_checked_like_the_file(tmp_path: Path, assignment: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("pretrain:\n  steps: 10\n")
    with pytest.raises(ConfigError, match="= true: expected"):
        edit_params(path, parse_assignments([assignment]))
    assert path.read_text() == "pretrain:\n  steps: 10\n"


def test_a_preset_is_checked_like_the_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("pretrain:\n  steps: 10\n")
    with pytest.raises(ConfigError, match=r"pretrain\.warmup_steps = true: expected a number"):
        edit_params(path, {}, {"pretrain": {"warmup_steps": True}})
