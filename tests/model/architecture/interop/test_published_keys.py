"""Every key of every family's configuration: read as `transformers` reads it, harmless, or refused in one line."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_families import CASES, tokens_of

from model.architecture.interop import load_model
from model.architecture.interop.families import PUBLISHED
from model.architecture.interop.published_keys import HARMLESS, PLAIN, READ, UNUSED, known_keys
from model.errors import CheckpointError, TissLMError

pytestmark = pytest.mark.feature("ARCH-11")
BASE = {
    "llama": "llama-2", "mistral": "mistral", "qwen2": "qwen2-window", "qwen3": "qwen3", "gemma2": "gemma2",
    "mixtral": "mixtral-window", "gpt2": "gpt2", "mamba": "mamba",
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
PLAIN_YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}
EXTRA: dict[str, list[Any]] = {
    "rope_scaling": [YARN, {"type": "linear", "factor": 2.0}, None],
    "rope_parameters": [PLAIN_YARN, {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}],
    "layer_types": [["full_attention", "sliding_attention"], ["sliding_attention"] * 2, None],
    "is_causal": [False, True], "use_bidirectional_attention": [False, True], "original_max_position_embeddings": [8],
    "partial_rotary_factor": [0.5], "rope_theta": [500.0], "per_layer_config": [{"0": {"sliding_window": 3}}],
    "hidden_act": ["gelu", "relu"], "hidden_activation": ["gelu"], "activation_function": ["gelu", "relu"],
    "sliding_window": [3, None], "head_dim": [12, 24], "add_cross_attention": [True], "hidden_size": [48, 24],
    "quantization_config": [{"quant_method": "gptq"}], "num_key_value_heads": [None, 4], "n_inner": [192],
    "final_logit_softcapping": [None, 2.0], "attn_logit_softcapping": [None, 2.0], "query_pre_attn_scalar": [5],
}  # fmt: skip


def other_values(key: str, now: Any) -> list[Any]:
    """Values that a file could have in place of one."""
    if key in EXTRA:
        return EXTRA[key]
    if isinstance(now, bool):
        return [not now]
    if isinstance(now, int | float):
        return [now * 2 + 1] if now else [1]
    return []


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from test_families import theirs

    folders = {}
    for kind, case in BASE.items():
        folders[kind] = tmp_path_factory.mktemp(kind)
        theirs(case).save_pretrained(folders[kind])
    return folders


def both(folder: Path, edit: dict[str, Any], tmp_path: Path) -> tuple[Any, Any]:
    """Logits of `transformers` and of ours for an edited `config.json`; an error in place of what does not open."""
    from transformers import AutoModelForCausalLM

    values = json.loads((folder / "config.json").read_text()) | edit
    (tmp_path / "config.json").write_text(json.dumps(values))
    if not (tmp_path / "model.safetensors").exists():
        (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    found: list[Any] = []
    for opened in (lambda: AutoModelForCausalLM.from_pretrained(tmp_path).eval(), lambda: load_model(tmp_path)):
        try:
            with torch.no_grad():
                given = opened()(tokens_of())
                found.append(given if isinstance(given, torch.Tensor) else given.logits)
        except Exception as error:  # noqa: BLE001  (transformers raises anything)
            found.append(error)
    return found[0], found[1]


@pytest.mark.parametrize("kind", BASE)
def test_every_key_is_read_as_transformers_reads_it_or_refused(
    kind: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    written = json.loads((saved[kind] / "config.json").read_text())
    wrong = []
    for key in sorted(known_keys(kind) | written):
        for value in other_values(key, written.get(key)):
            theirs, ours = both(saved[kind], {key: value}, tmp_path)
            if isinstance(ours, Exception):
                if not isinstance(ours, TissLMError) or "\n" in str(ours):
                    wrong.append((key, value, repr(ours)))
            elif isinstance(theirs, Exception):
                continue  # transformers does not open it: nobody has other logits
            elif theirs.shape != ours.shape or not torch.allclose(theirs, ours, atol=1e-4, rtol=0):
                wrong.append((key, value, "other logits"))
    assert wrong == []


@pytest.mark.parametrize("kind", BASE)
def test_every_key_of_the_published_class_is_in_one_table(kind: str) -> None:
    from transformers import AutoConfig

    published = type(AutoConfig.for_model(kind))
    fields = {field.name for field in dataclasses.fields(published)} | set(published.attribute_map)
    assert fields - known_keys(kind).keys() == set()
    harmless = {key for keys in HARMLESS.values() for key in keys}
    tables = [harmless, PLAIN.keys(), READ[kind], UNUSED[kind]]
    assert [key for key in known_keys(kind) if sum(key in table for table in tables) != 1] == []


def test_the_tables_are_of_all_families() -> None:
    assert BASE.keys() == PUBLISHED.keys() == READ.keys() == UNUSED.keys()
    assert all(BASE[kind] in CASES for kind in BASE)


@pytest.mark.parametrize(
    ("kind", "edit", "right"),
    [
        ("qwen2", {"rope_scaling": YARN}, "equal"),
        ("llama", {"original_max_position_embeddings": 8, "rope_parameters": PLAIN_YARN}, "equal"),
        ("mistral", {"layer_types": ["full_attention", "sliding_attention"]}, "equal"),
        ("gemma2", {"use_bidirectional_attention": False}, "equal"),
        ("llama", {"is_causal": False}, "refused"),
        ("gpt2", {"is_causal": False}, "refused"),
    ],
)
def test_what_was_once_read_wrongly(
    kind: str, edit: dict[str, Any], right: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    theirs, ours = both(saved[kind], edit, tmp_path)
    if right == "refused":
        assert isinstance(ours, TissLMError)
        assert next(iter(edit)) in str(ours)
    else:
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_key_that_nobody_knows_is_named(
    saved: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        both(saved["llama"], {"attention_sparkle": 3}, tmp_path)
    assert "attention_sparkle" in caplog.text


def test_a_tied_head_with_other_weights_and_weights_that_are_no_numbers_are_named(
    saved: dict[str, Path], tmp_path: Path
) -> None:
    tensors = load_file(saved["qwen2"] / "model.safetensors")
    del tensors["lm_head.weight"]
    config = json.loads((saved["qwen2"] / "config.json").read_text()) | {"tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    embedding = tensors["model.embed_tokens.weight"]
    save_file(tensors | {"lm_head.weight": embedding.clone()}, tmp_path / "model.safetensors")
    load_model(tmp_path)
    save_file(tensors | {"lm_head.weight": embedding + 0.1}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight differs from model\.embed_tokens\.weight"):
        load_model(tmp_path)
    for value in (float("nan"), float("inf")):
        norm = tensors["model.norm.weight"].clone()
        norm[3] = value
        save_file(tensors | {"model.norm.weight": norm}, tmp_path / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"tensor model\.norm\.weight holds NaN or infinity"):
            load_model(tmp_path)
