"""`--set` and `--preset` edit params.yaml in place: typed, validated first, comments kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flows.presets import PRESETS, all_presets, read_preset
from model.errors import ConfigError
from tasks.params import Params, read_params
from tasks.params_edit import edit_params, parse_assignments

pytestmark = pytest.mark.feature("PIPE-07")

DEFAULTS = Params()
STEPS = DEFAULTS.pretrain.steps
TEXT = f"""\
# What a run is.
ingest:
  shard_documents: {DEFAULTS.ingest.shard_documents} # documents

# How texts are cleaned.
clean:
  min_characters: {DEFAULTS.clean.min_characters} # characters
tokenizer:
  vocab_size: {DEFAULTS.tokenizer.vocab_size}
tokenize: {{}}
pretrain:
  # the network
  model:
    n_layers: {DEFAULTS.pretrain.model.n_layers}
    d_model: {DEFAULTS.pretrain.model.d_model}
  steps: {STEPS} # optimizer steps
  learning_rate: {DEFAULTS.pretrain.learning_rate}

evaluate: {{}}
quantize: {{}}
publish:
  name: {DEFAULTS.publish.name}
"""


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_one_value_changes_one_line_and_every_comment_stays(params_file: Path) -> None:
    changes = edit_params(params_file, {"pretrain.steps": 301})
    assert [str(change) for change in changes] == [f"pretrain.steps {STEPS} -> 301"]
    assert params_file.read_text(encoding="utf-8") == TEXT.replace(f"steps: {STEPS}", "steps: 301")


def test_a_key_that_the_file_leaves_out_lands_in_its_section_before_the_next_comment(params_file: Path) -> None:
    edit_params(params_file, {"ingest.max_documents": 40, "pretrain.model.dropout": 0.5})
    text = params_file.read_text(encoding="utf-8")
    assert text.index("max_documents: 40") < text.index("# How texts are cleaned.")
    assert read_params(params_file).ingest.max_documents == 40
    assert read_params(params_file).pretrain.model.dropout == 0.5
    assert all(line in text for line in TEXT.splitlines() if "#" in line)


def test_the_same_values_again_write_nothing(params_file: Path) -> None:
    edit_params(params_file, {"pretrain.steps": 301})
    written = params_file.stat().st_mtime_ns
    assert edit_params(params_file, {"pretrain.steps": 301}) == []
    assert params_file.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "pretrain.stepz=3",
            "params.yaml with --set pretrain.stepz: pretrain.stepz: unknown key; did you mean pretrain.steps?",
        ),
        ("pretran.steps=3", "params.yaml with --set pretran.steps: pretran: unknown key; did you mean pretrain?"),
        ("pretrain.steps=-3", "allowed range >= 1 and <= 100000000 (steps)"),
        ("pretrain.steps=soon", "pretrain.steps = 'soon'"),
        ("pretrain.steps.more=3", "pretrain.steps is one value, not a section with keys of its own"),
    ],
)
def test_a_wrong_value_is_one_line_and_the_file_is_untouched(params_file: Path, assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edit_params(params_file, parse_assignments([assignment]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert params_file.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("assignment", ["steps", "=3", "pretrain.=3", ".steps=3", "pretrain.steps=[3"])
def test_an_assignment_that_is_none_says_what_is_expected(assignment: str) -> None:
    with pytest.raises(ConfigError, match=r"--set .*(expected section.key=value|is not a YAML value)"):
        parse_assignments([assignment])


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3e-4", 0.0003), ("true", True), ("null", None), ("", None), ("adamw", "adamw"), ("[a, 2]", ["a", 2])],
)
def test_values_have_types(text: str, value: Any) -> None:
    assert parse_assignments([f"a.b={text}"]) == {"a.b": value}


def test_sources_may_be_replaced_by_one_folder(params_file: Path) -> None:
    edit_params(params_file, parse_assignments(["ingest.sources=[{path: my-texts/}]"]))
    (source,) = read_params(params_file).ingest.sources
    assert source.model_dump()["path"] == "my-texts/"


@given(rate=st.floats(1e-9, 1.0, exclude_min=True), steps=st.integers(50, 100_000_000))
def test_any_number_comes_back_as_it_was_set(tmp_path: Path, rate: float, steps: int) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    edit_params(path, {"pretrain.learning_rate": rate, "pretrain.steps": steps})
    assert read_params(path).pretrain.learning_rate == rate
    assert read_params(path).pretrain.steps == steps


@given(text=st.text(max_size=20).filter(lambda t: t.isprintable()))
def test_any_text_comes_back_as_it_was_set(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    edit_params(path, {"evaluate.sample_prompts": [text or "x"]})
    assert list(read_params(path).evaluate.sample_prompts) == [text or "x"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_laptop_takes_everything_back(params_file: Path, name: str) -> None:
    edit_params(params_file, {}, read_preset(name), all_presets())
    assert read_params(params_file) == Params.model_validate(read_preset(name))
    edit_params(params_file, {}, read_preset("laptop"), all_presets())
    assert read_params(params_file) == Params()


REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_and_back_leaves_our_own_params_yaml_byte_for_byte(tmp_path: Path, name: str) -> None:
    path, original = tmp_path / "params.yaml", (REPOSITORY / "params.yaml").read_bytes()
    path.write_bytes(original)
    edit_params(path, {}, read_preset(name), all_presets())
    edit_params(path, {}, read_preset("laptop"), all_presets())
    assert path.read_bytes() == original


def test_own_texts_replace_the_sources_and_the_comments_around_stay(tmp_path: Path) -> None:
    path, original = tmp_path / "params.yaml", (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    path.write_text(original, encoding="utf-8")
    edit_params(path, parse_assignments(["ingest.sources=[{path: my-texts/}]"]))
    left = original.splitlines()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  sources:"):
            assert line.startswith("  sources: [{path: my-texts/}]")
        else:
            assert line in left
    (source,) = read_params(path).ingest.sources
    assert source.model_dump()["path"] == "my-texts/"


def test_presets_do_not_pile_up_and_set_wins_over_the_preset(params_file: Path) -> None:
    edit_params(params_file, {}, read_preset("gpu"), all_presets())
    edit_params(params_file, {"pretrain.steps": 61}, read_preset("smoke"), all_presets())
    expected = read_preset("smoke")
    expected["pretrain"]["steps"] = 61
    assert read_params(params_file) == Params.model_validate(expected)


def test_a_value_that_no_preset_names_survives_a_preset(params_file: Path) -> None:
    edit_params(params_file, {"publish.name": "mine"})
    edit_params(params_file, {}, read_preset("smoke"), all_presets())
    assert read_params(params_file).publish.name == "mine"


def test_a_broken_file_is_named(params_file: Path) -> None:
    params_file.write_text("pretrain: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        edit_params(params_file, {"pretrain.steps": 3})


def test_every_file_in_the_presets_folder_is_a_preset() -> None:
    folder = Path(__file__).parents[2] / "flows" / "presets"
    assert {path.stem for path in folder.glob("*.yaml")} == set(PRESETS)
    assert all(isinstance(yaml.safe_load(p.read_text(encoding="utf-8")), dict | None) for p in folder.glob("*.yaml"))


def test_an_empty_mapping_switches_a_section_on(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("clean:\n  pii: null # personal data\n")
    changes = edit_params(path, {"clean.pii": {}})
    assert [str(change) for change in changes] == ["clean.pii null -> {}"]
    assert path.read_text() == "clean:\n  pii: {} # personal data\n"
