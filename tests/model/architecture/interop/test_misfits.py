"""Folders that do not fit: one line that names the key, or the tensor and both shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import from_hugging_face, load_model, save_model, to_hugging_face
from model.errors import CheckpointError, ConfigError, TissLMError

pytestmark = pytest.mark.feature("ARCH-11")
CONFIG = ModelConfig(vocab_size=30, n_layers=1, d_model=16, n_heads=2, n_kv_heads=1, d_ff=24, context_length=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = Decoder(CONFIG)
    initialize(network, torch.Generator().manual_seed(0))
    save_model(network, tmp_path)
    return tmp_path


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, r"config\.json: hidden_act = 'gelu' is not supported, expected 'silu'"),
        ({"hidden_size": "16"}, r"hidden_size = '16', expected a number"),
        ({"num_key_value_heads": 3}, r"n_heads 2 is not a multiple of n_kv_heads 3; change one"),
        ({"rope_parameters": {"rope_type": "longrope", "factor": 2}}, r"rope_type 'longrope' is not supported"),
        ({"rope_parameters": {"rope_type": "linear"}}, r"has no factor"),
        ({"model_type": "tisslm"}, r"has no section `tisslm`"),
    ],
)
def test_a_config_that_no_part_computes_names_the_key(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit(folder, **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder: Path) -> None:
    edit(folder, intermediate_size=32)
    with pytest.raises(CheckpointError, match=r"mlp\.gate_proj\.weight has shape \(24, 16\), expected \(32, 16\)"):
        load_model(folder)


def test_a_missing_and_an_unknown_tensor_are_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.q_norm.weight"] = torch.ones(8)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"q_norm\.weight .* belong to no part of a llama"):
        load_model(folder)
    edit(folder, num_hidden_layers=2)
    with pytest.raises(CheckpointError, match=r"tensor model\.layers\.1\.\S+ is missing, expected shape"):
        load_model(folder)


def test_sharded_weights_open_and_a_place_outside_the_folder_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    whole = load_model(folder)
    names = sorted(tensors)
    save_file({n: tensors[n] for n in names[:4]}, folder / "a.safetensors")
    save_file({n: tensors[n] for n in names[4:]}, folder / "b.safetensors")
    (folder / "model.safetensors").unlink()
    places = dict.fromkeys(names[:4], "a.safetensors") | dict.fromkeys(names[4:], "b.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert torch.equal(load_model(folder).embedding.weight, whole.embedding.weight)
    index.write_text(json.dumps({"weight_map": {**places, names[0]: "../b.safetensors"}}))
    with pytest.raises(CheckpointError, match="expected a file in the same folder"):
        load_model(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(sorted(to_hugging_face(CONFIG))), value=JSON)
def test_any_value_of_any_key_is_read_or_refused_in_one_line(key: str, value: Any) -> None:
    refused = ""
    try:
        from_hugging_face(to_hugging_face(CONFIG) | {key: value})
    except TissLMError as error:
        refused = str(error)
    assert "\n" not in refused


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 700), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_a_damaged_header_is_refused_or_harmless(tmp_path_factory: Any, at: int, byte: int, cut: int) -> None:
    folder = tmp_path_factory.mktemp("fuzzed")
    save_model(Decoder(CONFIG), folder)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[at] = byte
    (folder / "model.safetensors").write_bytes(content[: len(content) - cut])
    refused = ""
    try:
        load_model(folder)
    except TissLMError as error:
        refused = str(error)
    assert "\n" not in refused
