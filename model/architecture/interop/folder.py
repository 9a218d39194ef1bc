"""A model folder: `config.json`, `generation_config.json`, `model.safetensors`; written and opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.interop.families import FAMILIES, family_of, from_hugging_face, to_hugging_face
from model.architecture.interop.pieces import exported, imported
from model.architecture.interop.weights import read_weights
from model.errors import CheckpointError, ConfigError
from model.files import read_json_mapping, write_bytes, write_json

END_OF_TEXT_ID, PAD_ID = 0, 1
OF_SEVERAL = "eos_token_id"
IGNORED = ("rotary_emb.inv_freq", "attn.bias", "attn.masked_bias")
"""Ends of names of tensors that older files have and nobody needs."""


@dataclass(frozen=True)
class SpecialIds:
    """The ids that begin, end and pad a text; several may end it."""

    bos_token_id: int | None = END_OF_TEXT_ID
    eos_token_id: int | list[int] | None = END_OF_TEXT_ID
    pad_token_id: int | None = PAD_ID


OUR_IDS = SpecialIds()


def special_ids(values: Mapping[str, Any], vocab_size: int, where: str) -> SpecialIds:
    """The special ids of a published model: `bos_token_id`, `eos_token_id`, `pad_token_id`.

    An id that is no row of the embedding means none: Llama 1 says -1, others name a token that was added to the
    tokenizer alone.

    Raises:
        ConfigError: One is no id.
    """
    found: dict[str, Any] = {}
    for field in fields(SpecialIds):
        value = values.get(field.name)
        several = value if isinstance(value, list) and field.name == OF_SEVERAL else [] if value is None else [value]
        if not all(isinstance(i, int) and not isinstance(i, bool) for i in several):
            raise ConfigError(f"{where}: {field.name} = {value!r}, expected a token id, or null")
        kept = [i for i in several if 0 <= i < vocab_size]
        found[field.name] = (kept if isinstance(value, list) else kept[0]) if kept else None
    return SpecialIds(**found)


def to_published_tensors(model: Decoder) -> dict[str, Tensor]:
    """The weights by their published names, contiguous, on the CPU; a tied head is left out."""
    tensors = exported(dict(model.named_parameters()), family_of(model.config).pieces(model.config))
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def from_published_tensors(
    tensors: Mapping[str, Tensor], config: ModelConfig, where: str = "model.safetensors"
) -> dict[str, Tensor]:
    """Our state dictionary from published names.

    Raises:
        CheckpointError: A tensor is missing or has another shape; the message names it.
    """
    return _state(tensors, config, family_of(config).MODEL_TYPE, where)


def _state(tensors: Mapping[str, Tensor], config: ModelConfig, model_type: str, where: str) -> dict[str, Tensor]:
    family = FAMILIES[model_type]
    with torch.device("meta"):
        expected = dict(Decoder(config).named_parameters())
    pieces = family.pieces(config)
    refuse_damaged(tensors, where)
    state = imported(_prefixed(tensors, model_type), pieces, expected, where)
    if config.tie_embeddings:
        state["head.weight"] = state["embedding.weight"]
    return state


def _prefixed(tensors: Mapping[str, Tensor], model_type: str) -> Mapping[str, Tensor]:
    """The first GPT-2 files leave `transformer.` out."""
    if model_type == "gpt2" and "wte.weight" in tensors:
        return {name if name == "lm_head.weight" else f"transformer.{name}": t for name, t in tensors.items()}
    return tensors


def save_model(model: Decoder, folder: Path, special: SpecialIds = OUR_IDS) -> None:
    """Write `config.json`, `generation_config.json` and `model.safetensors` (float32)."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = asdict(special)
    write_json(folder / "config.json", to_hugging_face(model.config) | ids)
    write_json(folder / "generation_config.json", ids)
    tensors = {name: tensor.float() for name, tensor in to_published_tensors(model).items()}
    write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def load_model(folder: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Decoder:
    """Open a model folder, ready for inference (`eval` mode).

    Raises:
        ConfigError: The configuration is of no family that we compute.
        CheckpointError: The weights are missing, damaged, or of other names or shapes than the configuration says.
        IntegrityError: `config.json` is missing or damaged.
    """
    published = read_json_mapping(folder / "config.json")
    config = from_hugging_face(published, str(folder / "config.json"))
    tensors, where = read_weights(folder)
    state = _state(tensors, config, published["model_type"], where)
    refuse_unknown(tensors, config, published["model_type"], where)
    return assembled(config, state, dtype=dtype, device=device)


def assembled(config: ModelConfig, state: Mapping[str, Tensor], *, dtype: torch.dtype, device: str) -> Decoder:
    """A decoder over given tensors, in `eval` mode; nothing is allocated twice."""
    with torch.device("meta"):
        model = Decoder(config)
    moved = {name: tensor.to(device=device, dtype=dtype) for name, tensor in state.items()}
    model.load_state_dict(moved, assign=True)
    if config.tie_embeddings:
        model.head.weight = model.embedding.weight
    return model.eval()


def refuse_damaged(tensors: Mapping[str, Tensor], where: str) -> None:
    """Weights that are no numbers make logits that are none, at the first token or at the thousandth.

    Raises:
        CheckpointError: A tensor holds NaN or infinity; the message names it.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{where}: tensor {name} holds NaN or infinity, expected finite numbers; get the model again, or train "
                "it again"
            )


def refuse_unknown(tensors: Mapping[str, Tensor], config: ModelConfig, model_type: str, where: str) -> None:
    """A tensor that no part reads means another model than the configuration says.

    Raises:
        CheckpointError: There is one; the message names it.
    """
    known = {name for piece in FAMILIES[model_type].pieces(config) for name in piece.published}
    if config.tie_embeddings and "lm_head.weight" in tensors:
        pieces = FAMILIES[model_type].pieces(config)
        (embedding,) = next(piece.published for piece in pieces if piece.ours == "embedding.weight")
        if not torch.equal(tensors["lm_head.weight"], _prefixed(tensors, model_type)[embedding]):
            raise CheckpointError(
                f"{where}: lm_head.weight differs from {embedding}, but tie_word_embeddings says that they are one; "
                "set tie_word_embeddings to false in config.json if the head is meant"
            )
        known.add("lm_head.weight")
    unknown = [n for n in _prefixed(tensors, model_type) if n not in known and not n.endswith(IGNORED)]
    if unknown:
        raise CheckpointError(
            f"{where}: {unknown[0]} {tuple(tensors[unknown[0]].shape) if unknown[0] in tensors else ''} and "
            f"{len(unknown) - 1} other tensors belong to no part of a {model_type} with this configuration"
        )
