"""Interop beyond the plain case: odd shapes, packed documents, half precision, shards, old files, GGUF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_families import CASES, GPT2, LLAMA, MAMBA, theirs, tokens_of

from model.architecture.config.sizes import num_params
from model.architecture.interop import from_hugging_face, load_model, published_name, save_model
from model.architecture.interop.gguf import load_gguf
from model.generation.cache import StaticCache

pytestmark = pytest.mark.feature("ARCH-11")
ODD = {**LLAMA, "hidden_size": 60, "intermediate_size": 52, "num_attention_heads": 5, "num_key_value_heads": 1}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, 5 heads of 12 on 1": ("Llama", {**ODD, "tie_word_embeddings": True}),
    "llama, 3 heads of 20, not 16": ("Llama", {**LLAMA, "num_attention_heads": 3, "num_key_value_heads": 3,
                                               "head_dim": 20}),
    "mistral, 5 heads on 5, window": ("Mistral", {**ODD, "num_key_value_heads": 5, "sliding_window": 4}),
    "mistral, tied": ("Mistral", {**ODD, "sliding_window": None, "tie_word_embeddings": True}),
    "qwen2, 5 heads on 1, untied": ("Qwen2", {**ODD, "tie_word_embeddings": False}),
    "qwen3, 5 heads of 18 on 1": ("Qwen3", {**ODD, "head_dim": 18, "tie_word_embeddings": True}),
    "gemma2, 3 heads of 14 on 1, untied": ("Gemma2", {**LLAMA, "num_attention_heads": 3, "num_key_value_heads": 1,
                                           "head_dim": 14, "sliding_window": 5, "tie_word_embeddings": False}),
    "gemma2, 6 heads on 3, three layers": ("Gemma2", {**LLAMA, "num_attention_heads": 6, "num_key_value_heads": 3,
                                           "head_dim": 8, "num_hidden_layers": 3, "sliding_window": 4}),
    "mixtral, 5 heads on 1, tied": ("Mixtral", {**ODD, "num_local_experts": 5, "num_experts_per_tok": 3,
                                                "tie_word_embeddings": True}),
    "gpt2, 5 heads, untied": ("GPT2", {**GPT2, "n_embd": 40, "n_head": 5, "n_layer": 3, "tie_word_embeddings": False}),
    "mamba, wide": ("Mamba", {**MAMBA, "hidden_size": 24, "expand": 3, "state_size": 7, "num_hidden_layers": 3}),
}  # fmt: skip
ALL = {**CASES, **SHAPES}


@pytest.fixture(params=ALL)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setitem(CASES, name, ALL[name])
    return name


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setitem(CASES, name, SHAPES[name])
    return name


def test_packed_documents_equal_separate_ones_of_transformers(case: str, tmp_path: Path) -> None:
    published = theirs(case)
    published.save_pretrained(tmp_path / "theirs")
    ours, tokens = load_model(tmp_path / "theirs"), tokens_of()
    save_model(ours, tmp_path / "ours")
    documents = torch.tensor([[0] * 9 + [1] * 3 + [2] * 12, [0] * 24, [5] * 1 + [6] * 23])
    for network in (ours, load_model(tmp_path / "ours")):
        with torch.no_grad():
            found = network.head(network.hidden(tokens, documents_BT=documents))
            for row in range(3):
                for document in documents[row].unique():
                    places = documents[row] == document
                    expected = published(tokens[row : row + 1, places]).logits
                    torch.testing.assert_close(found[row : row + 1, places], expected, atol=1e-4, rtol=0)


def test_every_shape_equals_transformers_both_ways(shape: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    published = theirs(shape)
    published.save_pretrained(tmp_path / "theirs")
    ours, tokens = load_model(tmp_path / "theirs"), tokens_of()
    save_model(ours, tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
    assert type(again).__name__ == published_name(ours.config)
    real = torch.ones_like(tokens, dtype=torch.bool)
    real[1, :5] = False
    positions = (real.long().cumsum(1) - 1).clamp_min(0)
    with torch.no_grad():
        expected = published(tokens).logits
        torch.testing.assert_close(ours(tokens), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(again(tokens).logits, expected, atol=1e-4, rtol=1e-4)
        cache = StaticCache(ours.config.n_layers, 24)
        parts = [ours(part, cache=cache) for part in (tokens[:, :9], tokens[:, 9:10], tokens[:, 10:])]
        torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-4, rtol=1e-4)
        if "mamba" not in shape:
            padded = published(tokens, attention_mask=real.long(), position_ids=positions).logits
            torch.testing.assert_close(ours(tokens, padding_BT=real)[real], padded[real], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case_name", ["llama-3", "gemma2", "mixtral", "gpt2", "mamba"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_open_as_the_same_numbers(case_name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    theirs(case_name).to(dtype).save_pretrained(tmp_path)
    published = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ours, tokens = load_model(tmp_path), tokens_of()
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), published(tokens).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case_name", ["llama-3", "mixtral", "gpt2"])
def test_files_that_transformers_sharded_open(case_name: str, tmp_path: Path) -> None:
    published, tokens = theirs(case_name), tokens_of()
    published.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(tokens), published(tokens).logits, atol=1e-4, rtol=0)


def without_rope(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in {"rope_parameters", "rope_theta"}}


LINEAR = {"kind": "linear", "factor": 2.0}
LLAMA3_KEYS = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {"kind": "llama3", "factor": 8.0, "original_context": 32, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    ("keys", "theta", "scaling"),
    [
        ({}, 1e4, {"kind": "none"}),
        ({"rope_scaling": None}, 1e4, {"kind": "none"}),
        ({"rope_scaling": None, "rope_theta": 1e6}, 1e6, {"kind": "none"}),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 5e5}, 5e5, LINEAR),
        ({"rope_scaling": {"rope_type": "llama3", **LLAMA3_KEYS}, "rope_theta": 5e5}, 5e5, LLAMA3),
        ({"rope_scaling": {"type": "llama3", "rope_type": "llama3", **LLAMA3_KEYS}, "rope_theta": 5e5}, 5e5, LLAMA3),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3_KEYS}}, 5e5, LLAMA3),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, 1e4, LINEAR),
    ],
)
def test_every_way_to_write_rotary_scaling_is_read(
    keys: dict[str, Any], theta: float, scaling: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    published = LlamaForCausalLM(LlamaConfig(**{**LLAMA, **json.loads(json.dumps(keys))})).eval()
    published.save_pretrained(tmp_path)
    written = without_rope(json.loads((tmp_path / "config.json").read_text())) | keys
    (tmp_path / "config.json").write_text(json.dumps(written))
    ours = load_model(tmp_path)
    found = ours.config.position.scaling.model_dump()
    assert ours.config.rope_theta == theta
    assert {**found, **scaling} == found
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens_of()), published(tokens_of()).logits, atol=1e-4, rtol=0)


def test_config_files_of_earlier_years_are_read() -> None:
    """The keys as they were published: Llama 1 and 2, GPT-2, Mistral 0.1, Qwen 1.5, Llama 3.1."""
    llama_1 = {
        "architectures": ["LLaMAForCausalLM"], "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 11008, "initializer_range": 0.02, "max_sequence_length": 2048,
        "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "pad_token_id": -1,
        "rms_norm_eps": 1e-06, "torch_dtype": "float16", "transformers_version": "4.27.0.dev0", "use_cache": True,
        "vocab_size": 32000,
    }  # fmt: skip
    assert num_params(from_hugging_face(llama_1)) == 6_738_415_616
    assert from_hugging_face(llama_1).context_length == 2048
    llama_2 = {**llama_1, "max_position_embeddings": 4096, "num_key_value_heads": 32, "pretraining_tp": 1,
               "rope_scaling": None, "tie_word_embeddings": False, "rms_norm_eps": 1e-5}  # fmt: skip
    assert from_hugging_face(llama_2).context_length == 4096
    gpt2 = {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
        "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None, "vocab_size": 50257,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    }  # fmt: skip
    assert num_params(from_hugging_face(gpt2)) == 124_439_808
    mistral = {**llama_1, "model_type": "mistral", "intermediate_size": 14336, "num_key_value_heads": 8,
               "max_position_embeddings": 32768, "sliding_window": 4096, "rope_theta": 10000.0}  # fmt: skip
    assert num_params(from_hugging_face(mistral)) == 7_241_732_096
    assert from_hugging_face(mistral).attention.window == 4096
    qwen = {**llama_1, "model_type": "qwen2", "hidden_size": 1024, "intermediate_size": 2816, "vocab_size": 151936,
            "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16, "rope_theta": 1e6,
            "max_position_embeddings": 32768, "max_window_layers": 21, "sliding_window": 32768,
            "use_sliding_window": False, "tie_word_embeddings": True}  # fmt: skip
    assert num_params(from_hugging_face(qwen)) == 463_987_712
    scaling = {"rope_type": "llama3", **LLAMA3_KEYS, "original_max_position_embeddings": 8192}
    llama_3 = {**llama_1, "intermediate_size": 14336, "num_key_value_heads": 8, "vocab_size": 128256,
               "max_position_embeddings": 131072, "rope_theta": 500000.0, "eos_token_id": [128001, 128008],
               "rope_scaling": scaling}  # fmt: skip
    assert num_params(from_hugging_face(llama_3)) == 8_030_261_248


@pytest.mark.parametrize("name", ["Llama", "Mistral", "Qwen2", "Qwen3", "Gemma2", "Mixtral", "GPT2", "Mamba"])
def test_a_missing_key_means_what_it_means_to_transformers(name: str) -> None:
    import transformers

    kind = getattr(transformers, f"{name}Config")
    needed = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "n_embd",
              "n_layer", "n_head", "model_type", "layer_types"}  # fmt: skip
    whole = kind(use_sliding_window=True).to_dict() if "Qwen" in name else kind().to_dict()
    whole = {key: value for key, value in whole.items() if key != "layer_types"}
    checked = 0
    for key in whole.keys() - needed:
        rest = {k: v for k, v in whole.items() if k != key}
        if key == "rope_parameters":
            continue  # its default theta differs by family, and every file has it in one form or the other
        assert from_hugging_face(rest) == from_hugging_face(kind(**rest).to_dict()), key
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("packing", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_of_the_format_s_own_writer_equals_transformers(packing: str, tied: bool, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    from gguf import quants
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    values = {**LLAMA, "hidden_size": 96, "intermediate_size": 64, "num_attention_heads": 3, "num_key_value_heads": 1}
    published = LlamaForCausalLM(LlamaConfig(**{**values, "tie_word_embeddings": tied})).eval()
    kind = gguf.GGMLQuantizationType[packing]
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(96)
    writer.add_feed_forward_length(64)
    writer.add_head_count(3)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
             "model.layers.": "blk."}  # fmt: skip
    with torch.no_grad():
        for name, parameter in published.named_parameters():
            numbers = parameter.numpy().copy()
            stored = numbers
            if "q_proj" in name or "k_proj" in name:  # llama.cpp's order of rows, by its convert_hf_to_gguf.py
                heads = 3 if "q_proj" in name else 1
                stored = numbers.reshape(heads, 2, 16, 96).swapaxes(1, 2).reshape(numbers.shape)
            packs = numbers.ndim == 2
            data = quants.quantize(stored, kind) if packs else stored
            unpacked = quants.dequantize(data, kind) if packs else stored
            if "q_proj" in name or "k_proj" in name:
                unpacked = unpacked.reshape(heads, 16, 2, 96).swapaxes(1, 2).reshape(numbers.shape)
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(unpacked)))
            stored_name = name
            for old, new in names.items():
                stored_name = stored_name.replace(old, new)
            writer.add_tensor(stored_name, data, raw_dtype=kind if packs else gguf.GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, _ = load_gguf(tmp_path / "a.gguf")
    assert ours.config.tie_embeddings == tied
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens_of()), published(tokens_of()).logits, atol=1e-4, rtol=0)
