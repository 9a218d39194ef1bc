"""What the Tab key offers as values: stages, presets, keys of params.yaml, versions of the registry.

A shell calls these while somebody types, so a workspace that cannot be read offers nothing instead of a message.
"""

from __future__ import annotations

from collections.abc import Iterable

from model.errors import TissLMError

Offer = tuple[str, str]


def stages(incomplete: str) -> list[str]:
    """The stages of dvc.yaml."""
    from tasks.graph import read_graph
    from tasks.workspace import find_workspace

    try:
        return _beginning(incomplete, read_graph(find_workspace()))
    except TissLMError:
        return []


def presets(incomplete: str) -> list[str]:
    """The names of the presets."""
    from flows.presets import PRESETS

    return _beginning(incomplete, PRESETS)


def keys(incomplete: str) -> list[Offer]:
    """The keys of params.yaml with their meanings."""
    from tasks.params import Params
    from tasks.params_schema import describe_keys, note_of

    told = describe_keys()
    return [(key, note_of(key, told).meaning) for key in _beginning(incomplete, Params().flat())]


def assignments(incomplete: str) -> list[Offer]:
    """The keys as `--set` takes them: `pretrain.steps=`."""
    return [(f"{key}=", meaning) for key, meaning in keys(incomplete)]


def versions(incomplete: str) -> list[str]:
    """The aliases and version numbers of the registry; an unused registry is not created by asking."""
    from cli.registered import registered_name
    from tasks.registry import ALIASES, list_versions
    from tasks.tracking import default_uri, tracking_uri

    try:
        root, name = registered_name()
        is_used = tracking_uri(root) != default_uri(root) or (root / "mlflow.db").is_file()
        numbers = [str(version.version) for version in list_versions(root, name)] if is_used else []
    except TissLMError:
        numbers = []
    return _beginning(incomplete, [*ALIASES, *numbers])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
