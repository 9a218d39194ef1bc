"""What of a `tokenizer.json` the fast engines of byte-level BPE need, if they know all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.tokenizer.alphabet import stand_ins
from model.tokenizer.rules import GPT4

_SAME_AS_GPT4 = {
    GPT4,
    # Llama 3 and OLMo 2 write the same rule so; white space that holds a line's end is cut after its last one in both
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}


@dataclass(frozen=True)
class BytePairModel:
    """Byte-level BPE.

    Attributes:
        rule: `gpt2` or `gpt4`.
        byte_ids: (256,) uint32, the id of each byte.
        merges: (n, 3) int32: left, right, result, in the order of their ranks.
    """

    rule: str
    byte_ids: npt.NDArray[np.uint32]
    merges: npt.NDArray[np.int32]


def recognised(settings: dict[str, Any]) -> BytePairModel | None:
    """The model of a parsed `tokenizer.json`, `None` if there is anything in it that is not known here."""
    rule = known_rule(settings.get("pre_tokenizer"))
    if rule is None or settings.get("normalizer"):
        return None
    return byte_pair_model(settings["model"], rule)


def byte_pair_model(model: dict[str, Any], rule: str) -> BytePairModel | None:
    """The model alone, `None` if it is not plain byte-level BPE."""
    if (model.get("type") or "BPE") != "BPE":
        return None
    if any(model.get(key) for key in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")):
        return None
    if any(model.get(key) for key in ("fuse_unk", "byte_fallback", "ignore_merges")):
        return None
    vocabulary = model["vocab"]
    characters = stand_ins()
    if any(characters[byte] not in vocabulary for byte in range(256)):
        return None  # others' vocabularies may lack bytes that no text has
    byte_ids = np.array([vocabulary[characters[byte]] for byte in range(256)], np.uint32)
    pairs = (merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"])
    rows = [(vocabulary[left], vocabulary[right], vocabulary[left + right]) for left, right in pairs]
    return BytePairModel(rule, byte_ids, np.array(rows, np.int32).reshape(-1, 3))


def known_rule(pre_tokenizer: dict[str, Any] | None) -> str | None:
    """`gpt2` or `gpt4` if that is all a pre-tokenizer does, whoever wrote it."""
    if not pre_tokenizer:
        return None
    steps = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    if any(step.get("add_prefix_space") for step in steps) or steps[-1]["type"] != "ByteLevel":
        return None
    if len(steps) == 1:
        return "gpt2" if steps[0].get("use_regex", True) else None
    split = steps[0]
    known = (
        len(steps) == 2
        and split["type"] == "Split"
        and split["pattern"].get("Regex") in _SAME_AS_GPT4
        and split["behavior"] == "Isolated"
        and not split["invert"]
        and not steps[1].get("use_regex", True)
    )
    return "gpt4" if known else None
