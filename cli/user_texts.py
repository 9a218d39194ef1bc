"""Words of a command line: configurations made of them, and folders that may not be written over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

Config = TypeVar("Config", bound="BaseModel")
Folder = Annotated[Path, typer.Option("--tokenizer", "-t", "--model", "-m", help="folder of a tokenizer or a model")]


def valid_config(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration from the words of a command line.

    Raises:
        ConfigError: A value is wrong; the message names it.
    """
    from pydantic import ValidationError

    from model.errors import ConfigError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from error


def new_folder(out: Path) -> None:
    """Refuse to write over what is there.

    Raises:
        StorageError: `out` exists and is not empty.
    """
    from model.errors import StorageError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out}: exists already; choose a new folder")
