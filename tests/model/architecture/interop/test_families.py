"""Every family against `transformers`: equal logits after import and after export, cached, padded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.interop import from_hugging_face, load_model, published_name, save_model, to_hugging_face
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-11")

LLAMA = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3, "pad_token_id": 1,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
GPT2 = {"vocab_size": 97, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
MAMBA = {"vocab_size": 97, "hidden_size": 40, "num_hidden_layers": 2, "initializer_range": 0.3}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-2": ("Llama", LLAMA),
    "llama-3": ("Llama", {**LLAMA, "rope_parameters": LLAMA3, "head_dim": 16}),
    "llama-linear": ("Llama", {**LLAMA, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
    "llama-yarn": ("Llama", {**LLAMA, "rope_parameters": YARN, "tie_word_embeddings": True}),
    "llama-biases": ("Llama", {**LLAMA, "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4}),
    "mistral": ("Mistral", {**LLAMA, "sliding_window": 7}),
    "mistral-full": ("Mistral", {**LLAMA, "sliding_window": None, "head_dim": 24, "num_key_value_heads": 1}),
    "qwen2": ("Qwen2", {**LLAMA, "tie_word_embeddings": True}),
    "qwen2-window": ("Qwen2", {**LLAMA, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {**LLAMA, "head_dim": 16}),
    "qwen3-biases": ("Qwen3", {**LLAMA, "head_dim": 12, "attention_bias": True, "tie_word_embeddings": True}),
    "gemma2": ("Gemma2", {**LLAMA, "head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 20}),
    "gemma2-caps": ("Gemma2", {**LLAMA, "head_dim": 16, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0,
                               "final_logit_softcapping": 3.0}),
    "mixtral": ("Mixtral", {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "mixtral-window": ("Mixtral", {**LLAMA, "num_local_experts": 3, "num_experts_per_tok": 1, "sliding_window": 6}),
    "gpt2": ("GPT2", GPT2),
    "gpt2-wide": ("GPT2", {**GPT2, "n_head": 3, "n_inner": 40, "activation_function": "relu"}),
    "mamba": ("Mamba", MAMBA),
    "mamba-biases": ("Mamba", {**MAMBA, "use_bias": True, "use_conv_bias": False, "state_size": 5, "conv_kernel": 3,
                               "time_step_rank": 4, "tie_word_embeddings": False}),
}  # fmt: skip


def theirs(case: str) -> Any:
    """A random model of `transformers`, norms and biases random too."""
    import transformers

    name, values = CASES[case]
    suffix = "LMHeadModel" if name == "GPT2" else "ForCausalLM"
    torch.manual_seed(0)
    network = getattr(transformers, f"{name}{suffix}")(getattr(transformers, f"{name}Config")(**values)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 1 and "dt_proj" not in name:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
    return network


def tokens_of(rows: int = 3, length: int = 24) -> torch.Tensor:
    return torch.randint(2, 97, (rows, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_transformers_opens_with_equal_logits(case: str, tmp_path: Path) -> None:
    published = theirs(case)
    published.save_pretrained(tmp_path)
    ours, tokens = load_model(tmp_path), tokens_of()
    with torch.no_grad():
        expected = published(tokens).logits
        torch.testing.assert_close(ours(tokens), expected, atol=1e-4, rtol=0)
        cache = StaticCache(ours.config.n_layers, 24)
        parts = [ours(part, cache=cache) for part in (tokens[:, :9], tokens[:, 9:10], tokens[:, 10:])]
        torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_a_saved_model_opens_in_transformers_with_equal_logits(case: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    theirs(case).save_pretrained(tmp_path / "theirs")
    ours, tokens = load_model(tmp_path / "theirs"), tokens_of()
    save_model(ours, tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
    assert type(again).__name__ == published_name(ours.config)
    with torch.no_grad():
        torch.testing.assert_close(again(tokens).logits, ours(tokens), atol=1e-4, rtol=0)
        cached = again(tokens[:, :9], use_cache=True)
        keyword = "cache_params" if "mamba" in case else "past_key_values"
        rest = [again(tokens[:, i : i + 1], use_cache=True, **{keyword: cached[keyword]}).logits for i in range(9, 12)]
        torch.testing.assert_close(torch.cat(rest, dim=1), ours(tokens)[:, 9:12], atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_left_padded_logits_equal_those_of_transformers(case: str, tmp_path: Path) -> None:
    published = theirs(case)
    published.save_pretrained(tmp_path)
    ours, tokens = load_model(tmp_path), tokens_of()
    real = torch.ones_like(tokens, dtype=torch.bool)
    real[1, :5] = False
    positions = (real.long().cumsum(1) - 1).clamp_min(0)
    with torch.no_grad():
        found = ours(tokens, padding_BT=real)
        if "mamba" in case:  # transformers lets padding in where Mamba has biases: its row alone is the reference
            expected = published(tokens).logits
            expected[1, 5:] = published(tokens[1:2, 5:]).logits
        else:
            expected = published(tokens, attention_mask=real.long(), position_ids=positions).logits
    torch.testing.assert_close(found[real], expected[real], atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_config_json_survives_both_ways(case: str, tmp_path: Path) -> None:
    import json

    theirs(case).config.save_pretrained(tmp_path)
    config = from_hugging_face(json.loads((tmp_path / "config.json").read_text()))
    assert from_hugging_face(to_hugging_face(config)) == config


@pytest.mark.parametrize(
    "values",
    [
        {"mixers": "AM"},
        {"norm": {"placement": "post", "kind": "layer"}},
        {"position": {"kind": "alibi"}},
        {"feedforward": {"kind": "relu2"}},
        {"experts": {"n_experts": 4, "routing": "expert_choice"}},
        {"embedding": {"kind": "adaptive", "cutoffs": [20]}, "tie_embeddings": False},
        {"position": {"scaling": {"kind": "ntk", "factor": 2.0}}},
    ],
)
def test_what_no_family_computes_is_saved_in_our_own_layout(values: dict[str, Any], tmp_path: Path) -> None:
    config = ModelConfig.model_validate({"vocab_size": 97, "d_model": 32, "n_layers": 2, "d_ff": 48, **values})
    network = Decoder(config)
    initialize(network, torch.Generator().manual_seed(0))
    network.eval()
    assert published_name(config) is None
    save_model(network, tmp_path)
    again = load_model(tmp_path)
    assert again.config == config
    with torch.no_grad():
        assert torch.equal(again(tokens_of()), network(tokens_of()))
