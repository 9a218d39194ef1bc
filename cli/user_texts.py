"""Texts that a user names on the command line, read by the readers of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from model.corpus.documents import Document

Config = TypeVar("Config", bound="BaseModel")
Folder = Annotated[Path, typer.Option("--tokenizer", "-t", "--model", "-m", help="folder of a tokenizer or a model")]


def documents_of(paths: Sequence[str]) -> Iterator[Document]:
    """The documents of files and folders; `source` is the name of the path. What cannot be read is told on stderr.

    Raises:
        CorpusError: A path does not exist, or nothing in it can be read.
    """
    from cli.corpus_texts import Texts

    return Texts(paths).documents()


def read_texts(paths: Sequence[str], most_characters: int | None = None) -> list[str]:
    """The texts of files and folders in memory, up to the document that reaches `most_characters`."""
    texts: list[str] = []
    size = 0
    for document in documents_of(paths):
        texts.append(document.text)
        size += len(document.text)
        if most_characters is not None and size >= most_characters:
            break
    return texts


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
