"""`params.yaml`: every mistake is one line that names the key, the value, the range and unit, or the nearest key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from tasks.params import Params, parse_params, read_params


@pytest.mark.feature("PIPE-07")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"pretrain": {"learning_rat": 0.1}},
            "pretrain.learning_rat: unknown key; did you mean pretrain.learning_rate?",
        ),
        ({"pretain": {}}, "pretain: unknown key; did you mean pretrain?"),
        (
            {"pretrain": {"learning_rate": 7}},
            "pretrain.learning_rate = 7: should be less than or equal to 1, allowed range > 0 and <= 1 (per step)",
        ),
        ({"pretrain": {"steps": "many"}}, "pretrain.steps = 'many': should be a valid integer"),
        ({"pretrain": {"model": {"d_model": 100, "n_heads": 3}}}, "d_model 100 is not a multiple of n_heads 3"),
        (
            {"pretrain": {"schedule": "cosin"}},
            "pretrain.schedule = 'cosin': should be 'cosine', 'linear' or 'constant'; did you mean cosine?",
        ),
        (
            {"pretrain": {"model": {"feedforward": {"kind": "swigul"}}}},
            "or 'none'; did you mean swiglu?",
        ),
        (
            {"pretrain": {"model": {"attention": {"pattern": "S", "window": 512}}}},
            "params.yaml: pretrain.model: attention.window 512 is larger than context_length 256; lower it, or use L",
        ),
        (
            {"pretrain": {"model": {"position": {"scaling": {"kind": "yarn", "factor": 2}}}}},
            "params.yaml: pretrain.model.position.scaling.original_context: field required",
        ),
        (
            {"pretrain": {"model": {"tie_embeddings": False, "embedding": {"kind": "adaptive", "cutoffs": [5000]}}}},
            "params.yaml: pretrain.model.embedding.cutoffs: 5000 is not below tokenizer.vocab_size 2048; lower it",
        ),
        ({"pretrain": {"model": {"rope_theta": float("inf")}}}, "rope_theta = inf: should be a finite number"),
        ({"pretrain": {"model": {"n_layers": 10**9}}}, "allowed range >= 1 and <= 256"),
        ({"clean": {"test_fraction": -0.1}}, "clean.test_fraction = -0.1"),
        ({"tokenizer": {"vocab_size": 10}}, "tokenizer.vocab_size = 10"),
        ({"ingest": {"sources": [{"pat": "x"}]}}, "ingest.sources.0"),
    ],
)
def test_a_wrong_value_is_one_clear_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(steps=st.integers(-5, 5), rate=st.floats(-1, 2))
def test_values_are_taken_exactly_when_they_are_in_range(steps: int, rate: float) -> None:
    valid = steps >= 1 and 0 < rate <= 1
    values = {"pretrain": {"steps": steps, "learning_rate": rate, "warmup_steps": 0}}
    if valid:
        assert parse_params(values).pretrain.steps == steps
    else:
        with pytest.raises(ConfigError):
            parse_params(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"pretrain: [", "not valid YAML"), (b"- a\n", "expected sections"), (b"\xff\xfe\xff", "line 1: not UTF-8 text")],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_params(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_params(tmp_path / "missing.yaml")


def test_the_digest_knows_values_not_spelling(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("pretrain: {steps: 200, learning_rate: 0.001}\n")
    (tmp_path / "b.yaml").write_text("# a comment\npretrain:\n  learning_rate: 1.0e-3\n  steps: 200\n")
    digests = {read_params(tmp_path / name).digest for name in ("a.yaml", "b.yaml")}
    assert len(digests) == 1
    assert parse_params({"pretrain": {"steps": 201}}).digest not in digests


def test_flat_names_every_value_once() -> None:
    flat = Params().flat()
    assert flat["pretrain.model.d_model"] == Params().pretrain.model.d_model
    assert all("." in key for key in flat)


@pytest.mark.feature("PIPE-07", "ARCH-17")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"n_heads": 3}, "pretrain.model: d_model 256 is not a multiple of n_heads 3; change one of them"),
        (
            {"position": {"scaling": {"kind": "linear"}}},
            "pretrain.model.position.scaling.factor: field required, allowed range >= 1 and <= 1000",
        ),
    ],
)
def test_keys_that_do_not_fit_each_other_are_told_without_the_whole_section(
    model: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params({"pretrain": {"model": model}})
    assert str(caught.value).endswith(message)


def test_every_key_of_params_has_a_meaning_also_inside_unions() -> None:
    from tasks.params_schema import describe_keys, note_of

    told = describe_keys()
    assert [key for key in Params().flat() if not note_of(key, told).meaning] == []
    assert note_of("pretrain.model.position.scaling.kind", told).meaning
