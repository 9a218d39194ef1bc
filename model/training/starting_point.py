"""Start from the weights of a model that exists: does it fit what the params say, and its weights.

The network must be the same one; what training alone knows (dropout, initialization, weights of losses, the context
length where positions have no table) may differ, and rotary positions may be scaled for a longer context.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.architecture.config import ModelConfig
from model.architecture.decoder import Decoder
from model.architecture.interop import load_model
from model.architecture.interop.families import essential
from model.architecture.interop.importing import TOKENIZER_FILES, read_config
from model.errors import ConfigError, TokenizerError
from model.tokenizer.tokenizer import Tokenizer

PATTERNS = ("mixers", "attention.pattern", "position.pattern", "experts.pattern", "depth.pattern")


def starting_shape(key: str, folder: Path, wanted: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    """The shape of a network that takes the weights of a folder; no weights are read.

    Args:
        key: The key that names the folder, for messages.
        folder: A model folder.
        wanted: What the params say.
        tokenizer: The one that made the tokens.

    Returns:
        `wanted` with the model's vocabulary size, which may be larger than the tokenizer's.

    Raises:
        ConfigError: Another network; the message names the fields and both values.
        TokenizerError: Another vocabulary.
        IntegrityError: There is no `config.json`.
    """
    found = same_network(key, folder, wanted)
    if (folder / TOKENIZER_FILES[0]).is_file() and (theirs := Tokenizer.open(folder)).digest != tokenizer.digest:
        raise TokenizerError(
            f"{key}: the tokens were made by another tokenizer ({tokenizer.digest[:12]}..., {tokenizer.vocab_size:,} "
            f"ids) than that of {folder} ({theirs.digest[:12]}..., {theirs.vocab_size:,} ids); take the model's: set "
            f"tokenizer.from to the same model"
        )
    if (found.vocab_size or 0) < tokenizer.vocab_size:
        raise TokenizerError(
            f"{key}: the tokenizer has {tokenizer.vocab_size:,} ids, the model in {folder} only {found.vocab_size:,}; "
            "set tokenizer.from to the same model"
        )
    return wanted.model_copy(update={"vocab_size": found.vocab_size})


def same_network(key: str, folder: Path, wanted: ModelConfig) -> ModelConfig:
    """The network of a folder, where it is the one that the params describe; no weights are read.

    Args:
        key: The key that names the folder, for messages.
        folder: A model folder.
        wanted: What the params say.

    Raises:
        ConfigError: Another network; the message names the fields, both values, and what takes the model's.
        IntegrityError: There is no `config.json`.
    """
    found = read_config(folder)
    misfits = differences(wanted, found)
    if misfits:
        told = "; ".join(f"{name} {ours}, there {theirs}" for name, (ours, theirs) in list(misfits.items())[:8])
        more = f" and {len(misfits) - 8} more" if len(misfits) > 8 else ""
        takes = " ".join(f"--set {_assignment(name, theirs)}" for name, (_, theirs) in misfits.items())
        raise ConfigError(
            f"{key}: {folder} is another network than pretrain.model: {told}{more}; take its values (tisslm run "
            f"{takes}), or leave {key} empty"
        )
    return found


def differences(wanted: ModelConfig, found: ModelConfig) -> dict[str, tuple[Any, Any]]:
    """The fields by which two networks compute differently: `{"n_layers": (4, 30)}`."""
    ours, theirs = _computing(wanted), _computing(found)
    if (wanted.experts is None) != (found.experts is None):  # one value, not a section against nothing
        for values, config in ((ours, wanted), (theirs, found)):
            for name in [n for n in values if n.startswith("experts.")]:
                del values[name]
            values["experts"] = None if config.experts is None else config.experts.model_dump(mode="json")
    if theirs.get("position.scaling.kind") == "none":  # a longer context than the model was trained with
        for name in [n for n in ours if n.startswith("position.scaling.")]:
            theirs[name] = ours[name]
    n_layers = max(wanted.n_layers, found.n_layers)
    for name in PATTERNS:  # L and LL say the same
        if (
            name in ours
            and name in theirs
            and _written_out(ours[name], n_layers) == _written_out(theirs[name], n_layers)
        ):
            theirs[name] = ours[name]
    names = [*ours, *(name for name in theirs if name not in ours)]
    return {name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def starting_weights(network: Decoder, folder: Path) -> None:
    """Give a network the weights of a folder that `starting_shape` found to fit.

    Raises:
        CheckpointError: The weights are missing, damaged, or of other names or shapes than `config.json` says.
    """
    network.load_state_dict(load_model(folder).state_dict())


def _computing(config: ModelConfig) -> dict[str, Any]:
    """The fields of a shape that matter to what it computes."""
    values = _flat(essential(config).model_dump(mode="json"))
    del values["vocab_size"]
    if config.position.kind != "learned":  # its table has a row for each position
        del values["context_length"]
    return values


def _written_out(pattern: str, n_layers: int) -> str:
    return (pattern * n_layers)[:n_layers]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _assignment(name: str, value: Any) -> str:
    """As a shell and YAML read it."""
    return shlex.quote(f"pretrain.model.{name}={value if isinstance(value, str) else json.dumps(value)}")
