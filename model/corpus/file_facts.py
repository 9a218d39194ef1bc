"""What is known about a file beside its text: the rows of a table of facts, joined by file name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from model.corpus.package_files import package_table
from model.corpus.readers.csv_table import LONGEST_FIELD_CHARACTERS
from model.corpus.sources import AnySource, PackageSource
from model.corpus.synthetic.config import SyntheticSource
from model.errors import CorpusError


def names_in_table(name: str) -> tuple[str, str, str]:
    """The names by which a table may mean a file: its path, its last part, and that without the ending."""
    path = PurePosixPath(name)
    return name, path.name, path.stem


def facts_of_files(source: AnySource, root: Path, names: Collection[str] | None) -> dict[str, dict[str, str]]:
    """The rows of the source's table that mean one of the files, by their key; no table gives no rows.

    The table is streamed, so that memory depends on the number of files asked for.

    Args:
        source: The source with or without a table.
        root: The folder that local paths are relative to.
        names: Names of files inside the source; None asks for all rows.

    Raises:
        CorpusError: The table is not there, is no UTF-8 CSV, or lacks the key or date column.
    """
    if isinstance(source, SyntheticSource) or source.metadata is None:
        return {}
    table = source.metadata
    if isinstance(source, PackageSource):
        assert source.metadata is not None  # noqa: S101  (for the type checker)
        where = f"{source.package}/{source.metadata.resource}"
        opened = package_table(source, source.metadata.resource)
    else:
        assert source.metadata is not None  # noqa: S101
        where, path = source.metadata.path, root / Path(source.metadata.path).expanduser()
        opened = _opener(path)
    wanted = {key for name in names or () for key in names_in_table(name)}
    try:
        rows = _rows(opened, where, table.key, table.created)
        return {row[table.key]: row for row in rows if names is None or row[table.key] in wanted}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{where}: cannot be read as UTF-8 CSV: {error}; correct `metadata` of the source in ingest.sources"
        ) from error


def table_version(source: AnySource, root: Path) -> list[int]:
    """Size and time of change of a source's local table of facts; empty where there is none to watch."""
    if isinstance(source, PackageSource | SyntheticSource) or source.metadata is None:
        return []
    path = root / Path(source.metadata.path).expanduser()
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else []


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _rows(opened: Callable[[], BinaryIO], where: str, key: str, created: str | None) -> Iterator[dict[str, str]]:
    csv.field_size_limit(LONGEST_FIELD_CHARACTERS)
    with io.TextIOWrapper(opened(), encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        columns = list(reader.fieldnames or [])
        if twice := sorted({column for column in columns if column and columns.count(column) > 1}):
            raise CorpusError(f"{where}: two columns have the name {twice[0]!r}, expected different ones; rename one")
        for column in (key, created):
            if column is not None and column not in columns:
                found = ", ".join(columns[:20])
                raise CorpusError(f"{where}: no column {column!r}, expected by ingest.sources; columns found: {found}")
        for row in reader:
            values = {k: v for k, v in row.items() if isinstance(k, str) and v}
            if key in values:
                yield values
