"""Models that `pretrain.from` and `tokenizer.from` name: a folder, or a version in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.errors import ConfigError
from model.files import MANIFEST, content_digest, files_below, sha256_file, verify_manifest
from tasks.params import Params

REGISTRY = "registry:"
START = "pretrain.from"


@dataclass(frozen=True)
class ExistingModel:
    """A model folder that was found and is whole.

    Attributes:
        name: As the params name it.
        folder: Where its files are on this machine.
        digest: Of the names and checksums of its files.
    """

    name: str
    folder: Path
    digest: str


def find_model(key: str, name: str, root: Path, params: Params | None = None) -> ExistingModel:
    """Find a model's folder and check its bytes.

    Args:
        key: The key that names it, for messages: `pretrain.from`.
        name: A folder, relative to the workspace, or `registry:VERSION`.
        root: The workspace.
        params: All sections; they say the model's name in the registry.

    Raises:
        ConfigError: There is no such folder, or an alias stands where a version should.
        IntegrityError: Its files are not those of its manifest.
        RegistryError, TrackingError: The registry has no such version, or cannot be reached.
    """
    if name.startswith(REGISTRY):
        folder = _from_registry(key, name.removeprefix(REGISTRY), root, params or Params())
    else:
        folder = root / name
        if folder.is_file():
            raise ConfigError(f"{key}: {name} is a file; import it first: tisslm model import {name} models/imported")
        if not folder.is_dir():
            raise ConfigError(f"{key}: {name}: no such folder; name a model's folder or registry:VERSION")
    remedy = f"restore the folder, or import the model again, then run again ({key})"
    if (folder / MANIFEST).is_file():
        return ExistingModel(name, folder, verify_manifest(folder, remedy=remedy))
    checksums = {path: sha256_file(folder / path) for path in files_below(folder)}
    return ExistingModel(name, folder, content_digest(checksums))


def _from_registry(key: str, version: str, root: Path, params: Params) -> Path:
    if not version.isdigit():
        raise ConfigError(
            f"{key}: registry:{version}: expected the number of a version, because an alias moves and the run would "
            "not be the same again; `tisslm models list` shows the numbers"
        )
    from tasks.registry import resolve

    return resolve(root, params.publish.name, version).folder


def local_model(name: str | None) -> list[str]:
    """The path that DVC has to watch, if there is one."""
    return [name] if name is not None and not name.startswith(REGISTRY) else []
