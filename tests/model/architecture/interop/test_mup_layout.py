"""A network with muP scales its queries and logits for good, which no published family says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from configurations import built, tokens_of

from model.architecture.config import ModelConfig
from model.architecture.interop import load_model, published_name, save_model

pytestmark = pytest.mark.feature("ARCH-13", "ARCH-11")


def network(d_model: int, head_size: int) -> ModelConfig:
    start = {"kind": "mup", "base": {"d_model": d_model, "head_size": head_size}, "std": 0.3}
    shape = {"n_layers": 2, "d_model": 16, "n_heads": 4, "n_kv_heads": 4, "d_ff": 24, "context_length": 32}
    return ModelConfig.model_validate({"vocab_size": 40, "initialization": start} | shape)


@pytest.mark.parametrize(("base", "family"), [((8, 2), None), ((16, 2), None), ((16, 4), "LlamaForCausalLM")])
def test_saved_and_opened_it_answers_the_same(base: tuple[int, int], family: str | None, tmp_path: Path) -> None:
    model = built(network(*base))
    save_model(model, tmp_path)

    opened = load_model(tmp_path)

    assert published_name(model.config) == family
    with torch.inference_mode():
        assert torch.equal(opened(tokens_of(2, 9)), model(tokens_of(2, 9)))
