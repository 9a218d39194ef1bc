"""A decoder with int8 matrices, made from a trained one or from stored numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.compression.counterparts import COUNTERPARTS, covered, floats, matrices, scale_of
from model.compression.int8 import quantize_rows
from model.errors import CheckpointError


def quantize_int8(model: Decoder) -> Decoder:
    """A copy with its matrices in int8, embedding and head included; counterparts.py says what stays float32.

    Raises:
        CheckpointError: A weight is not finite.
        ConfigError: The model has a matrix that int8 does not know.
    """
    numbers = {name: parameter.clone() for name, parameter in floats(model).items()}
    for name, matrix in matrices(model).items():
        numbers[name], numbers[scale_of(name)] = quantize_rows(matrix)
    return assemble_int8(model.config, numbers)


def assemble_int8(config: ModelConfig, numbers: Mapping[str, Tensor]) -> Decoder:
    """A decoder over given numbers, none of them copied.

    Args:
        config: The shape; where it ties the embeddings, the head uses the embedding's int8 rows.
        numbers: By the names of the result's `state_dict`: matrices in int8, e.g. `blocks.0.attention.qkv.weight`,
            their scales (`....qkv.scale`) and all else in float32; a tied head is left out.

    Raises:
        CheckpointError: A number is missing, of another shape or type than the configuration says, or of no part.
        ConfigError: The configuration has a matrix that int8 does not know.
    """
    with torch.device("meta"):
        model = Decoder(config)
    check(numbers, expected_numbers(model))
    for name in floats(model):
        path, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(path), own_name, nn.Parameter(numbers[name], requires_grad=False))
    for path, part, counterpart in list(covered(model)):
        names = [each for name in counterpart.matrices(part) for each in (name, scale_of(name))]
        model.set_submodule(path, counterpart.build(part, {name: numbers[f"{path}.{name}"] for name in names}))
    if config.tie_embeddings:
        rows = {name: numbers[f"embedding.{name}"] for name in ("weight", "scale")}
        model.set_submodule("head", COUNTERPARTS[type(model.head)].build(model.head, rows))
    return model.eval()


def expected_numbers(model: Decoder) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Types and shapes of the numbers of a decoder in int8, by name."""
    found = {name: (torch.float32, tuple(parameter.shape)) for name, parameter in floats(model).items()}
    for name, matrix in matrices(model).items():
        found[name] = (torch.int8, tuple(matrix.shape))
        found[scale_of(name)] = (torch.float32, (matrix.shape[0],))
    return found


def check(numbers: Mapping[str, Tensor], expected: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> None:
    """Compare numbers with what a decoder needs.

    Raises:
        CheckpointError: The first one that does not fit.
    """
    for name, (dtype, shape) in expected.items():
        number = numbers.get(name)
        if number is None or number.dtype != dtype or number.shape != shape:
            got = "missing" if number is None else f"{_short(number.dtype)} of shape {tuple(number.shape)}"
            raise CheckpointError(f"int8 model: {name} is {got}, expected {_short(dtype)} {shape}; quantize it again")
    unknown = [name for name in numbers if name not in expected]
    if unknown:
        raise CheckpointError(f"int8 model: {unknown[0]} belongs to no part of this config.json; quantize it again")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
