"""Whether the model that `pretrain.from` names is the network that `pretrain.model` describes."""

from __future__ import annotations

from pathlib import Path

from tasks.existing_model import START, find_model
from tasks.params import Params


def check_start(root: Path, params: Params) -> None:
    """See that the model of `pretrain.from` is there and is the network of `pretrain.model`, before any stage runs.

    Raises:
        ConfigError: It is another one, or there is none.
        IntegrityError: Its files are damaged.
        RegistryError, TrackingError: The registry has no such version, or cannot be reached.
    """
    name = params.pretrain.from_model
    if name is None:
        return
    from model.training.starting_point import same_network  # it loads torch

    same_network(START, find_model(START, name, root, params).folder, params.pretrain.model)
