"""What each key of a published `config.json` is to us: read, harmless, or refused unless it says what we compute.

A key that stands in none of the tables is named in a warning: `transformers` keeps it as an attribute that nothing in
the family looks at, but nobody here has seen it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from model.errors import ConfigError

logger = logging.getLogger(__name__)

HARMLESS: dict[str, tuple[str, ...]] = {
    "names and versions": (
        "architectures", "model_type", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash",
        "auto_map", "custom_pipelines", "transformers.js_config", "unsloth_version", "unsloth_fixed", "finetuning_task",
        "language", "license", "model_name", "base_model",
    ),
    "numbers are float32 here, and what they were saved as is in the tensors": (
        "dtype", "torch_dtype", "residual_in_fp32", "reorder_and_upcast_attn",
    ),
    "acts in training or before it": (
        "attention_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "hidden_dropout", "classifier_dropout",
        "initializer_range", "router_jitter_noise", "output_router_logits", "gradient_checkpointing",
        "time_step_scale", "time_step_min", "time_step_max", "time_step_init_scheme",
        "time_step_floor", "z_loss_coefficient",
    ),
    "how fast, or what beside the logits is given back": (
        "use_cache", "cache_implementation", "attn_implementation", "_attn_implementation",
        "_attn_implementation_autoset", "_attn_implementation_internal", "experts_implementation",
        "_experts_implementation", "_experts_implementation_internal", "return_dict", "output_attentions",
        "output_hidden_states", "torchscript", "use_bfloat16", "chunk_size_feed_forward", "pruned_heads",
        "tf_legacy_loss", "use_mambapy", "use_associative_scan", "fused_add_norm", "tie_last_hidden_states",
        "use_flash_attn",
    ),
    "of other heads than the language model's": (
        "id2label", "label2id", "num_labels", "problem_type", "summary_type", "summary_use_proj", "summary_activation",
        "summary_proj_to_labels", "summary_first_dropout", "task_specific_params", "n_special",
        "predict_special_tokens", "is_decoder", "tokenizer_class", "prefix", "sep_token_id", "decoder_start_token_id",
        "is_llama_config",
    ),
    "defaults of generation: read by generation_defaults.py": (
        "bos_token_id", "eos_token_id", "pad_token_id", "max_length", "min_length", "do_sample", "early_stopping",
        "num_beams", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
        "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
        "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
        "suppress_tokens", "begin_suppress_tokens", "num_beam_groups", "diversity_penalty", "output_scores",
        "return_dict_in_generate",
    ),
}  # fmt: skip
"""Keys that change no logits, by the reason."""

PLAIN: dict[str, Any] = {
    "is_causal": True, "is_encoder_decoder": False, "add_cross_attention": False, "cross_attention_hidden_size": None,
    "per_layer_config": None, "partial_rotary_factor": 1.0, "quantization_config": None,
    "use_bidirectional_attention": False, "tie_encoder_decoder": False, "pretraining_tp": 1,
    "rescale_prenorm_residual": False,
}  # fmt: skip
"""Keys of any family that are refused unless they say this, or null; what they mean else, no part of ours computes.

`rescale_prenorm_residual` scales weights at the start of training, and again when `transformers` opens a trained file.
"""

DECODER = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_parameters", "rope_scaling",
    "original_max_position_embeddings", "tie_word_embeddings", "hidden_act",
}  # fmt: skip
WINDOWS = {"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"}
READ: dict[str, set[str]] = {
    "llama": DECODER | {"attention_bias", "mlp_bias"},
    "mistral": DECODER | {"sliding_window", "layer_types"},
    "qwen2": DECODER | WINDOWS,
    "qwen3": DECODER | WINDOWS | {"attention_bias"},
    "gemma2": (DECODER - {"hidden_act"})
    | {"hidden_activation", "attention_bias", "attn_logit_softcapping", "final_logit_softcapping",
       "query_pre_attn_scalar", "sliding_window", "layer_types"},
    "mixtral": DECODER
    | {"num_local_experts", "num_experts", "num_experts_per_tok", "router_aux_loss_coef", "sliding_window"},
    "gpt2": {"vocab_size", "n_positions", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner", "activation_function",
             "layer_norm_epsilon", "tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
             "hidden_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers"},
    "mamba": {"vocab_size", "hidden_size", "num_hidden_layers", "state_size", "conv_kernel", "expand", "time_step_rank",
              "use_bias", "use_conv_bias", "hidden_act", "layer_norm_epsilon", "tie_word_embeddings", "context_length"},
}  # fmt: skip
"""Keys that a family's module reads, or compares with what it computes."""

UNUSED: dict[str, set[str]] = {
    "llama": {"sliding_window", "use_sliding_window", "max_window_layers", "rope_interleaved", "rope_interleave"},
    "mistral": {"attention_bias", "mlp_bias", "use_sliding_window", "max_window_layers"},
    "qwen2": {"attention_bias", "mlp_bias"},
    "qwen3": {"mlp_bias"},
    "gemma2": {"hidden_act", "mlp_bias", "use_sliding_window", "sliding_window_size"},
    "mixtral": {"attention_bias", "mlp_bias", "use_sliding_window", "max_window_layers"},
    "gpt2": {"attention_bias", "mlp_bias", "sliding_window", "head_dim", "rope_theta"},
    "mamba": {"intermediate_size", "d_model", "d_inner", "n_layer", "ssm_cfg", "rms_norm", "pad_vocab_size_multiple",
              "sliding_window", "head_dim", "rope_theta"},
}  # fmt: skip
"""Keys of other families that files have all the same; this family's class of `transformers` never looks at them."""

ROTARY_READ = {
    "rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "beta_fast", "beta_slow",
    "low_freq_factor", "high_freq_factor", "partial_rotary_factor", "attention_factor", "mscale", "mscale_all_dim",
    "truncate", "finetuned",
}  # fmt: skip
ALIASES = {
    "gpt2": {"hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
             "num_hidden_layers": "n_layer"},
    "mixtral": {"num_experts": "num_local_experts"},
}  # fmt: skip
"""Second names; where both are there, `transformers` takes these."""
_HARMLESS = {key for keys in HARMLESS.values() for key in keys}


def known_keys(kind: str) -> dict[str, str]:
    """Each key of a family and what it is: `read`, `harmless` or `refused` (unless it is plain)."""
    return (
        dict.fromkeys(_HARMLESS | UNUSED[kind], "harmless")
        | dict.fromkeys(PLAIN, "refused")
        | dict.fromkeys(READ[kind], "read")
    )


def checked(published: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
    """The keys of a family under their first names; unknown ones are named in the log.

    Raises:
        ConfigError: A key asks for what no part of ours computes.
    """
    for key, plain in PLAIN.items():
        value = published.get(key, plain)
        if value is not None and value != plain:
            raise ConfigError(f"{where}: {key} = {value!r} is not supported, expected {plain!r}")
    unknown = sorted(published.keys() - known_keys(kind).keys())
    for name in ("rope_parameters", "rope_scaling"):
        inner = published.get(name)
        unknown += sorted(f"{name}.{key}" for key in inner if key not in ROTARY_READ) if isinstance(inner, dict) else []
    if unknown:
        logger.warning(
            "%s: nothing here reads %s; compare a few logits with the publisher's before you rely on the model",
            where, ", ".join(map(str, unknown)),
        )  # fmt: skip
    names = ALIASES.get(kind, {})
    second = {names[key]: value for key, value in published.items() if key in names}
    return {key: value for key, value in published.items() if key not in names} | second
