"""Random decoders: every combination that the schema allows, small."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from pydantic import ValidationError

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder, initialize
from model.architecture.depth import EarlyExit

VOCABULARY = 40
PATTERNS = {
    "mixers": ["A", "A", "A", "F", "C", "M", "AF", "CM", "MA"],
    "span": ["L", "L", "S", "D", "K", "B", "SL", "DK", "BL"],
    "position": ["P", "P", "NP"],
}
KINDS = [
    "swiglu", "geglu", "geglu_tanh", "glu", "relu", "relu2", "gelu", "gelu_tanh", "gelu_table", "silu", "conv1",
    "depthwise", "none",
]  # fmt: skip
SCALINGS: list[dict[str, Any]] = [
    {"kind": "none"},
    {"kind": "linear", "factor": 2.0},
    {"kind": "ntk", "factor": 4.0},
    {"kind": "yarn", "factor": 4.0, "original_context": 16},
    {"kind": "llama3", "factor": 8.0, "original_context": 16},
]
EXPERTS: list[dict[str, Any] | None] = [
    None,
    None,
    {"n_experts": 4, "top_k": 2},
    {"n_experts": 3, "top_k": 1, "capacity": 1.0, "shared_d_ff": 8, "pattern": "DE"},
    {"n_experts": 4, "top_k": 2, "routing": "expert_choice"},
]


@st.composite
def configurations(draw: Any) -> ModelConfig:
    """A valid configuration of two layers."""
    pick = lambda options: draw(st.sampled_from(options))  # noqa: E731
    span = pick(PATTERNS["span"])
    values: dict[str, Any] = {
        "vocab_size": VOCABULARY, "n_layers": 2, "d_model": 16, "n_heads": 4, "n_kv_heads": pick([1, 2, 4]),
        "head_dim": pick([None, 6]), "d_ff": 24, "context_length": 32, "tie_embeddings": draw(st.booleans()),
        "mixers": pick(PATTERNS["mixers"]),
        "norm": {"kind": pick(["rms", "layer", "layer_no_bias"]), "placement": pick(["pre", "post", "sandwich"]),
                 "qk": pick(["none", "rms"])},
        "position": {"kind": pick(["rope", "rope", "learned", "sinusoidal", "alibi", "none"]),
                     "pattern": pick(PATTERNS["position"]), "scaling": pick(SCALINGS)},
        "attention": {"pattern": span, "share_layers": pick([1, 1, 2]),
                      "window": 3 if set(span) & set("SDK") else None, "block": 4, "block_summary": 1,
                      "sinks": 2, "bias": pick(["none", "qkv", "all"]), "gate": pick(["none", "head", "feature"]),
                      "softcap": pick([None, 2.0]), "scale": pick([None, 0.4, 2.0, 1e-3])},
        "recurrent": {"convolution": pick([2, 4]), "state": 3, "bias": draw(st.booleans()),
                      "step_rank": pick([None, 2]), "convolution_bias": draw(st.booleans())},
        "feedforward": {"kind": pick(KINDS), "bias": draw(st.booleans()), "sparsity_loss": pick([0.0, 0.0, 0.1])},
        "experts": pick(EXPERTS),
        "embedding": pick([{}, {}, {"scale": "sqrt_width"}, {"kind": "adaptive", "cutoffs": [10, 25], "narrowing": 2}]),
        "depth": {"pattern": pick(["F", "F", "R", "FR"]), "capacity": 0.5, "exit_every": pick([None, None, 1])},
        "logit_softcap": pick([None, 5.0]),
        "initialization": {"kind": pick(["gpt2", "normal", "kaiming", "xavier", "mup"]), "std": 0.3,
                           "base": {"d_model": 8, "head_size": 4}},
    }  # fmt: skip
    return _repaired(values)


def _repaired(values: dict[str, Any]) -> ModelConfig:
    """Take back what does not fit the rest, until the schema accepts it."""
    if values["position"]["kind"] != "rope":
        values["position"]["scaling"] = {"kind": "none"}
    if values["position"]["kind"] not in {"rope", "alibi"}:
        values["position"]["pattern"] = "P"
    if values["feedforward"]["kind"] == "none":
        values["norm"]["placement"] = "pre"
    if values["feedforward"]["kind"] in {"none", "conv1", "depthwise"}:
        values["experts"] = None
    if values["experts"]:
        values["feedforward"] |= {"bias": False, "sparsity_loss": 0.0}
    if set(values["mixers"]) != {"A"} or values["feedforward"]["kind"] == "depthwise":
        values["depth"] = {}
    if values["embedding"].get("kind") == "adaptive":
        values["tie_embeddings"] = False
    unshared = values["mixers"] not in {"A", "AA"} or "R" in values["depth"].get("pattern", "F")
    if unshared or values["position"]["pattern"] == "NP":
        values["attention"]["share_layers"] = 1
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:  # the message names the pair that `_repaired` does not know
        raise AssertionError(str(error)) from error


def built(config: ModelConfig, seed: int = 0) -> Decoder:
    """A decoder with random weights, ready for inference."""
    network = Decoder(config)
    initialize(network, torch.Generator().manual_seed(seed))
    if isinstance(network.depth, EarlyExit):
        network.depth.threshold = 0.5
    return network.eval()


def tokens_of(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random token ids."""
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))
