"""The tokenizer inside a GGUF file as `tokenizer.json`: byte-level BPE, the kind of GPT-2, Llama 3, Qwen and SmolLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.architecture.interop.gguf_file import GgufFile
from model.errors import TokenizerError
from model.files import write_json

CONTROL, USER_DEFINED = 3, 4
"""Token types that are never split (llama.cpp, llama_token_type)."""
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def _by_pattern(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, {**BYTE_LEVEL, "use_regex": False}]}


PRETOKENIZERS: dict[str, dict[str, Any]] = {
    "gpt-2": BYTE_LEVEL,
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]},
    "llama-bpe": _by_pattern(rf"{WORDS}|\p{{N}}{{1,3}}{REST}"),
    "qwen2": _by_pattern(rf"{WORDS}|\p{{N}}{REST}"),
}
"""By `tokenizer.ggml.pre`."""


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    Raises:
        TokenizerError: It is of a kind that these files cannot say.
    """
    kind, pre = (file.metadata.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    if kind != "gpt2" or not isinstance(pre, str) or pre not in PRETOKENIZERS:
        raise TokenizerError(
            f"{file.path}: tokenizer {kind!r} with pre-tokenizer {pre!r} is not supported, expected 'gpt2' with one of "
            f"{', '.join(PRETOKENIZERS)}; take the tokenizer.json of the Hugging Face model"
        )
    tokens, merges, types = _lists(file)
    special = [i for i, token_type in enumerate(types[: len(tokens)]) if token_type in {CONTROL, USER_DEFINED}]
    added = [
        {"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": types[i] == CONTROL}
        for i in special
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    bpe = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": pre == "llama-bpe",
        "vocab": {token: i for i, token in enumerate(tokens)},
        "merges": [str(merge).split(" ", 1) for merge in merges],
    }  # fmt: skip
    write_json(
        folder / "tokenizer.json",
        {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
         "pre_tokenizer": PRETOKENIZERS[pre], "post_processor": None, "decoder": BYTE_LEVEL, "model": bpe},
    )  # fmt: skip
    ids = {name: file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "unknown", "padding")}
    named = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
    settings = {named[n]: tokens[i] for n, i in ids.items() if isinstance(i, int) and 0 <= i < len(tokens)}
    template = file.metadata.get("tokenizer.chat_template")
    settings |= {"chat_template": template} if isinstance(template, str) else {}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **settings})


def _lists(file: GgufFile) -> tuple[list[str], list[str], list[Any]]:
    """Tokens, merges, and a type of each token.

    Raises:
        TokenizerError: They do not make a tokenizer.
    """

    def damaged(what: str) -> TokenizerError:
        return TokenizerError(f"{file.path}: tokenizer.ggml.{what}; download it again")

    tokens, merges = (_strings(file.metadata.get(f"tokenizer.ggml.{name}")) for name in ("tokens", "merges"))
    if tokens is None or merges is None:
        raise damaged(f"{'tokens' if tokens is None else 'merges'} is no list of strings")
    types = file.metadata.get("tokenizer.ggml.token_type", [1] * len(tokens))
    if not isinstance(types, list) or len(types) != len(tokens):
        raise damaged("token_type is no list of one type for each token")
    if len(set(tokens)) != len(tokens):
        raise damaged("tokens names a token twice")
    wrong = next((merge for merge in merges if " " not in merge), None)
    if wrong is not None:
        raise damaged(f"merges has {wrong!r}, which is no pair of tokens")
    return tokens, merges, types


def _strings(values: Any) -> list[str] | None:
    """The list, where it is one of strings."""
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else None
