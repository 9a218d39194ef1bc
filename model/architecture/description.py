"""A decoder described before it is built: a figure, a table of layers, sizes, and whether it fits a memory.

    print(diagram(config)); rows = layer_rows(config); figures = describe(config, memory_bytes=16e9)

Nothing is allocated and torch is not loaded, so a 70 B configuration is described in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.architecture.config import ModelConfig
from model.architecture.config.sizes import (
    LayerSize,
    active_params,
    cache_bytes,
    cache_bytes_per_token,
    forward_flops_per_token,
    kv_heads,
    layers,
    num_params,
)

BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
TRAINING_BYTES = {"adamw": 16, "muon": 12}
"""Weights, gradients and moments of a trained number, all in float32; Muon keeps one moment."""
LONGEST_KEPT = 1024
"""Tokens up to which attention keeps its probabilities for the way back (`short_attention.LONGEST_BANDED`)."""
CHUNK_LOGITS_BYTES = 4 * 4_194_304 * 2
"""What the chunked loss holds of logits and their gradient."""


@dataclass(frozen=True)
class Need:
    """Memory for one use.

    Attributes:
        use: What for.
        n_bytes: How much, bytes.
        fits: Whether it is there; None where no memory was given.
    """

    use: str
    n_bytes: int
    fits: bool | None


def describe(
    config: ModelConfig, *, batch_sequences: int = 8, optimizer: str = "adamw", memory_bytes: float | None = None
) -> tuple[dict[str, int], list[Need]]:
    """Sizes of a decoder, and what it needs.

    Args:
        config: The shape, with `vocab_size`.
        batch_sequences: Sequences of a training step.
        optimizer: `adamw` or `muon`.
        memory_bytes: Memory that is there; None asks nothing.

    Returns:
        Exact figures by name, and estimates of memory for training and for answering one request.

    Raises:
        ConfigError: `vocab_size` is not known.
    """
    n = num_params(config)
    context = config.context_length
    figures = {
        "parameters": n,
        "active_parameters": active_params(config),
        "forward_flops_per_token": forward_flops_per_token(config),
        "training_flops_per_token": 3 * forward_flops_per_token(config),
        "cache_bytes_per_token": cache_bytes_per_token(config),
        "cache_bytes_of_a_context": cache_bytes(config, context),
    }
    step_tokens = batch_sequences * context
    needs = {
        f"train, {optimizer}, {batch_sequences} x {context} tokens": n * TRAINING_BYTES[optimizer]
        + step_tokens * activation_bytes_per_token(config)
        + CHUNK_LOGITS_BYTES,
        **{
            f"answer in {dtype}, {context} tokens": n * size + cache_bytes(config, context, max(2, size))
            for dtype, size in BYTES.items()
        },
    }
    return figures, [
        Need(use, size, None if memory_bytes is None else size <= memory_bytes) for use, size in needs.items()
    ]


def activation_bytes_per_token(config: ModelConfig) -> int:
    """What a training step keeps of each token for the way back, in bfloat16; an estimate, right to about a quarter.

    For each block: the inputs of its norms and products, queries, keys and values, attention's probabilities where the
    context is short (short_attention.py), and the insides of the feed-forward.
    """
    total = 0
    for index, layer in enumerate(layers(config)):
        numbers = 8 * config.d_model
        if config.mixer(index) == "attention":
            numbers += (3 * config.n_heads + 2 * kv_heads(config, index)) * config.head_size
            kept = config.context_length <= LONGEST_KEPT  # bands of queries keep what is visible, about half
            numbers += config.n_heads * config.context_length // 2 if kept else 0
        elif config.mixer(index) == "mamba":
            numbers += config.recurrent.expand * config.d_model * (6 + 8 * config.recurrent.state)  # states in float32
        else:
            numbers += 10 * config.d_model
        active_experts = config.experts.top_k if config.experts is not None and config.has_experts(index) else 1
        numbers += 4 * config.d_ff * active_experts if layer.feedforward_params else 0
        total += 2 * numbers
    return total


def layer_rows(config: ModelConfig) -> list[dict[str, str | int]]:
    """One row for each kind of layer, in the order of their first: which, what they are made of, and their numbers."""
    sizes = layers(config)
    kinds: dict[tuple[LayerSize, str], list[int]] = {}
    for index, layer in enumerate(sizes):
        kinds.setdefault((layer, _positions(config, index)), []).append(index)
    return [_row(config, sizes[indices[0]], indices) for indices in kinds.values()]


def _positions(config: ModelConfig, index: int) -> str:
    """What a layer itself knows of distances: only attention asks."""
    return config.positions(index) if config.mixer(index) == "attention" else "-"


def _named(indices: Sequence[int]) -> str:
    """`0-3`, or `0, 2, ... 30` where others are between."""
    first, last = indices[0], indices[-1]
    if len(indices) > 1 and last - first == len(indices) - 1:
        return f"{first}-{last}"
    shown = [str(i) for i in indices]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], f"... {last}"])


def _row(config: ModelConfig, layer: LayerSize, indices: Sequence[int]) -> dict[str, str | int]:
    return {
        "layers": _named(indices),
        "mixer": layer.mixer,
        "positions": _positions(config, indices[0]),
        "feed-forward": layer.feedforward,
        "parameters each": layer.params,
        "keys seen": layer.keys_seen,
        "cached per token": layer.cached_per_token,
    }


def diagram(config: ModelConfig) -> str:
    """The decoder as a figure of text, from the head down to the tokens."""
    norm = {"rms": "RMSNorm", "layer": "LayerNorm", "layer_no_bias": "LayerNorm, no bias"}[config.norm.kind]
    head = "tied to the embedding" if config.tie_embeddings else "its own weights"
    cap = f", soft cap {config.logit_softcap:g}" if config.logit_softcap else ""
    embedding = config.embedding.kind if config.embedding.scale == "one" else "times sqrt(width)"
    position = config.position.kind + (
        f" ({config.position.scaling.kind})" if config.position.scaling.kind != "none" else ""
    )
    lines = [f"logits ({config.vocab_size})", f"head: {head}{cap}"]
    lines += [] if config.norm.placement == "post" else [norm]
    boxes = [[f"layers {row['layers']}", *_parts(config, row, norm)] for row in layer_rows(config)]
    bottom = [f"embedding: {embedding}, width {config.d_model}", f"positions: {position}", "tokens"]
    width = max(len(line) for line in [*lines, *bottom, *(line for box in boxes for line in box)])
    drawn = [line.center(width + 4).rstrip() for line in lines]
    for box in reversed(boxes):
        drawn += [
            "+" + "-" * (width + 2) + "+",
            *(f"| {line.ljust(width)} |" for line in box),
            "+" + "-" * (width + 2) + "+",
        ]
    return "\n".join([*drawn, *(line.center(width + 4).rstrip() for line in bottom)])


def _parts(config: ModelConfig, row: Mapping[str, str | int], norm: str) -> list[str]:
    """The lines of a block, from its output down to its input."""
    mixer, feedforward = str(row["mixer"]), str(row["feed-forward"])
    if "attention" in mixer and "free" not in mixer:
        mixer += f", {config.n_heads} heads of {config.head_size}"
        mixer += f" on {config.n_kv_heads}" if config.n_kv_heads != config.n_heads else ""
    inside = [] if feedforward == "none" else [f"{feedforward}, width {config.d_ff}"]
    lines: list[str] = []
    for part in [*inside, mixer]:
        before, after = (norm, None) if config.norm.placement == "pre" else (norm, norm)
        if config.norm.placement == "post":
            lines += [norm, f"+ {part}"]
        else:
            lines += [f"+ {after} of the result" if after else "", f"  {part}" if after else f"+ {part}", f"  {before}"]
    return [line for line in lines if line]
