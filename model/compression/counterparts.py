"""Which parts of a decoder become int8, and as what: a table by the kind of module.

Every matrix of a decoder is either in `COUNTERPARTS` or in `KEPT`; one that is in neither is an error that names it, so
a new part of the network cannot slip through unseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from model.architecture.added_positions import LearnedPositions
from model.architecture.convolution import CausalConvolution
from model.architecture.decoder import Decoder
from model.architecture.depth import EarlyExit, RoutedBlock
from model.architecture.embedding import ScaledEmbedding
from model.architecture.experts import Experts
from model.architecture.feedforward import KernelOne
from model.architecture.head import SoftCappedHead
from model.architecture.linear import Linear
from model.architecture.mamba import Mamba
from model.compression.int8 import Int8Embedding, Int8Linear, Int8SoftCappedHead, Int8Table
from model.errors import ConfigError

Numbers = Mapping[str, Tensor]
"""Int8 matrices of one part and their scales, by their names in it: `weight` (rows, in), `scale` (rows,)."""


def _weight(part: nn.Linear | nn.Embedding | nn.Conv1d) -> dict[str, Tensor]:
    return {"weight": part.weight.flatten(1)}  # a convolution of kernel size 1 has a third dimension of 1


@dataclass(frozen=True)
class Counterpart:
    """How a kind of module becomes int8.

    Attributes:
        build: What takes the part's place, from the part, its float32 parameters in it, and its int8 numbers.
        parameters: The parameters of the part that become int8.
        matrices: The same as matrices, (rows, in) each, by the names that their int8 numbers get in the part; a name
            ends with `weight`, its scales with `scale` instead.
    """

    build: Callable[[Any, Numbers], nn.Module]
    parameters: tuple[str, ...] = ("weight",)
    matrices: Callable[[Any], dict[str, Tensor]] = _weight


def _linear(part: nn.Linear | nn.Conv1d, numbers: Numbers) -> nn.Module:
    return Int8Linear(numbers["weight"], numbers["scale"], part.bias)


def _head(part: SoftCappedHead, numbers: Numbers) -> nn.Module:
    return Int8SoftCappedHead(numbers["weight"], numbers["scale"], part.cap)


def _embedding(part: nn.Embedding, numbers: Numbers) -> nn.Module:
    del part
    return Int8Embedding(numbers["weight"], numbers["scale"])


def _scaled_embedding(part: ScaledEmbedding, numbers: Numbers) -> nn.Module:
    return Int8Embedding(numbers["weight"], numbers["scale"], part.embedding_dim**0.5)


def _positions(part: LearnedPositions, numbers: Numbers) -> nn.Module:
    """The same part over an int8 table."""
    del part.weight
    part.weight = Int8Table(numbers["weight.weight"], numbers["weight.scale"])  # type: ignore[assignment]
    return part


def _experts(part: Experts, numbers: Numbers) -> nn.Module:
    """The same part over one `Int8Linear` for each expert."""
    for name in ("up", "down"):
        delattr(part, name)
        names = [f"{name}.{expert}." for expert in range(part.options.n_experts)]
        layers = (Int8Linear(numbers[n + "weight"], numbers[n + "scale"]) for n in names)
        setattr(part, name, nn.ModuleList(layers))
    part.product = _expert_product
    return part


def _expert_product(x_ND: Tensor, stack: nn.ModuleList, expert: int) -> Tensor:
    """Tokens times one expert's int8 matrix, which is not widened where no token comes."""
    layer: Any = stack[expert]
    y_ND: Tensor = layer(x_ND) if len(x_ND) else x_ND.new_zeros(0, layer.scale.shape[0])
    return y_ND


def _each_expert(part: Experts) -> dict[str, Tensor]:
    stacks = {"up": part.up, "down": part.down}
    return {f"{name}.{i}.weight": matrix for name, stack in stacks.items() for i, matrix in enumerate(stack)}


COUNTERPARTS: dict[type[nn.Module], Counterpart] = {
    nn.Linear: Counterpart(_linear),
    Linear: Counterpart(_linear),
    KernelOne: Counterpart(_linear),
    SoftCappedHead: Counterpart(_head),
    nn.Embedding: Counterpart(_embedding),
    ScaledEmbedding: Counterpart(_scaled_embedding),
    LearnedPositions: Counterpart(_positions, matrices=lambda part: {"weight.weight": part.weight}),
    Experts: Counterpart(_experts, ("up", "down"), _each_expert),
}
"""Vectors stay float32 everywhere: biases, weights of norms, thresholds."""

DECIDES = "decides by near ties which way a token goes; it must not move"
KEPT: dict[type[nn.Module], dict[str, str]] = {
    Experts: {"router": DECIDES},
    RoutedBlock: {"router": DECIDES},
    EarlyExit: {"confidence": DECIDES},
    CausalConvolution: {"weight": "filters of a few numbers for each feature, no matrix product"},
    Mamba: {"log_rates": "how fast states fade: an error grows with the length of the text"},
}
"""Matrices that stay float32: by the kind of module, its part or parameter, and why."""


VECTORS = "biases, weights of norms and other vectors: few numbers, and nothing is gained"


def covered(model: Decoder) -> Iterator[tuple[str, nn.Module, Counterpart]]:
    """The parts that become int8, by path; a tied head has no numbers of its own."""
    kept = _kept(model)
    for path, part in model.named_modules():
        tied = path == "head" and model.config.tie_embeddings
        if type(part) in COUNTERPARTS and path not in kept and not tied:
            yield path, part, COUNTERPARTS[type(part)]


def matrices(model: Decoder) -> dict[str, Tensor]:
    """All matrices that become int8, (rows, in), by the names that their int8 numbers get."""
    return {
        f"{path}.{name}": matrix
        for path, part, counterpart in covered(model)
        for name, matrix in counterpart.matrices(part).items()
    }


def floats(model: Decoder) -> dict[str, Tensor]:
    """All parameters that stay float32, by name: vectors, and the matrices of `KEPT`.

    Raises:
        ConfigError: A matrix is neither in `COUNTERPARTS` nor in `KEPT`.
    """
    int8 = {f"{path}.{name}" for path, _, counterpart in covered(model) for name in counterpart.parameters}
    kept, found = _kept(model), {}
    for name, parameter in model.named_parameters():
        if name in int8:
            continue
        path = name.rpartition(".")[0]
        if parameter.dim() > 1 and name not in kept and path not in kept:
            kind = type(model.get_submodule(path)).__name__
            raise ConfigError(
                f"quantize: int8 does not know {name} {tuple(parameter.shape)} of {kind}; say what becomes of it in "
                "model/compression/counterparts.py (COUNTERPARTS or KEPT)"
            )
        found[name] = parameter.detach()
    return found


def why_float32(model: Decoder) -> list[dict[str, str | int]]:
    """What stays float32 in this network, one row for each kind: how many `numbers`, of which `parts`, and `why`."""
    kept = _kept(model)
    numbers: dict[str, int] = {}
    parts: dict[str, set[str]] = {}
    for name, parameter in floats(model).items():
        why = kept.get(name) or kept.get(name.rpartition(".")[0]) or VECTORS
        numbers[why] = numbers.get(why, 0) + parameter.numel()
        parts.setdefault(why, set()).add(re.sub(r"^blocks\.\d+\.", "", name))
    return [{"parts": ", ".join(sorted(parts[why])), "numbers": n, "why": why} for why, n in numbers.items()]


def _kept(model: nn.Module) -> dict[str, str]:
    """The paths of `KEPT` in a model, with their reasons."""
    return {
        f"{path}.{name}": why for path, part in model.named_modules() for name, why in KEPT.get(type(part), {}).items()
    }


def scale_of(name: str) -> str:
    """`blocks.0.attention.qkv.weight` -> `blocks.0.attention.qkv.scale`."""
    return name.removesuffix("weight") + "scale"
