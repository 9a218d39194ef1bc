"""Layer patterns: one letter for each layer, repeated until every layer has one.

`"L"` says the same of all layers; `"SSSL"` says that every fourth layer differs, in a decoder of 4, 8, 12 ... layers.
"""

from __future__ import annotations

from collections.abc import Mapping

MIXERS: Mapping[str, str] = {"A": "attention", "F": "attention_free", "C": "convolution", "M": "mamba"}
SPANS: Mapping[str, str] = {"L": "full", "S": "sliding", "D": "dilated", "K": "sinks", "B": "block_sparse"}
POSITIONS: Mapping[str, str] = {"P": "positions", "N": "none"}
DEPTHS: Mapping[str, str] = {"F": "full", "R": "routed"}
FEEDFORWARDS: Mapping[str, str] = {"D": "dense", "E": "experts"}


def check_pattern(name: str, pattern: str, meanings: Mapping[str, str], n_layers: int) -> None:
    """Refuse a pattern that says nothing about some layer.

    Raises:
        ValueError: An unknown letter, or a length that does not divide the number of layers.
    """
    legend = ", ".join(f"{letter} {meaning}" for letter, meaning in meanings.items())
    unknown = [letter for letter in pattern if letter not in meanings]
    if unknown or not pattern:
        raise ValueError(
            f"{name} {pattern!r}: {unknown[0] if unknown else 'nothing'!r} is no letter of it; use {legend}"
        )
    if n_layers % len(pattern):
        raise ValueError(
            f"{name} {pattern!r} has {len(pattern)} letters, which does not divide n_layers {n_layers}; "
            f"give 1, {n_layers}, or another divisor"
        )


def of_layer(pattern: str, layer: int, meanings: Mapping[str, str]) -> str:
    """What a checked pattern says about a layer (0 is the first), e.g. `sliding`."""
    return meanings[pattern[layer % len(pattern)]]


def used(pattern: str, meanings: Mapping[str, str]) -> set[str]:
    """All that a checked pattern names."""
    return {meanings[letter] for letter in pattern}
