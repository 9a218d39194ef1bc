"""A decoder with int8 matrices, made from a trained one or from stored numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.interop import published_name
from model.compression.int8 import Int8Embedding, Int8Linear, quantize_rows
from model.errors import CheckpointError, ConfigError

QUANTIZABLE = ("LlamaForCausalLM",)
Quantized = tuple[Tensor, Tensor]
"""(out, in) int8 weights and (out,) float32 scales."""


def quantize_int8(model: Decoder) -> Decoder:
    """A copy with every matrix in int8, embedding and head included; the norms stay float32.

    Raises:
        CheckpointError: A weight is not finite.
        ConfigError: The model has parts that int8 does not know.
    """
    biased = any(name.endswith(".bias") for name, _ in model.named_parameters())
    if published_name(model.config) not in QUANTIZABLE or biased:
        raise ConfigError(
            f"quantize: int8 knows {', '.join(QUANTIZABLE)} without biases only; leave the quantize stage out"
        )
    matrices = {
        f"{path}.weight": quantize_rows(module.weight)
        for path, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Embedding)) and not (path == "head" and model.config.tie_embeddings)
    }
    vectors = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.dim() == 1}
    return assemble_int8(model.config, matrices, vectors)


def assemble_int8(config: ModelConfig, matrices: Mapping[str, Quantized], vectors: Mapping[str, Tensor]) -> Decoder:
    """A decoder over given numbers, none of them copied.

    Args:
        config: The shape; where it ties the embeddings, the head uses the embedding's int8 rows.
        matrices: By `Decoder` names, e.g. `blocks.0.attention.qkv.weight`; a tied head is left out.
        vectors: The norms' weights, by `Decoder` names, float32.

    Raises:
        CheckpointError: A number is missing, or has another shape than the configuration says.
    """
    with torch.device("meta"):
        model = Decoder(config)
    found = dict(matrices)
    if config.tie_embeddings and "embedding.weight" in found:
        found["head.weight"] = found["embedding.weight"]
    for name, expected in list(model.named_parameters(remove_duplicate=False)):
        path = name.removesuffix(".weight")
        weight, scale = found[name] if name in found else (vectors.get(name), None)
        if weight is None or weight.shape != expected.shape:
            shape = "missing" if weight is None else f"of shape {tuple(weight.shape)}"
            raise CheckpointError(f"int8 model: {name} is {shape}, expected {tuple(expected.shape)}; quantize it again")
        if scale is None:
            model.get_submodule(path).weight = nn.Parameter(weight, requires_grad=False)
        elif isinstance(model.get_submodule(path), nn.Embedding):
            model.set_submodule(path, Int8Embedding(weight, scale))
        else:
            model.set_submodule(path, Int8Linear(weight, scale))
    return model.eval()
