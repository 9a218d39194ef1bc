"""What all sources hold, cut into units of about 64 MB that can be read apart from each other.

The plan is a file with one line of JSON for each unit, so that a list of millions of files takes no memory; a unit
says where its line stands. The cuts depend on the files alone, never on the number of workers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from model.corpus.archives import is_archive
from model.corpus.download import Download
from model.corpus.file_facts import table_version
from model.corpus.local_files import local_files, local_opener
from model.corpus.package_files import package_files, package_opener
from model.corpus.readers.formats import LINE_ENDINGS, ending_of, is_compressed
from model.corpus.readers.source_file import SourceFile
from model.corpus.remote_files import remote_file, remote_files
from model.corpus.set_aside import SetAside
from model.corpus.sources import AnySource, IngestConfig, PackageSource, PathSource
from model.corpus.synthetic.config import SyntheticSource
from model.files import atomic_writer, canonical_json, sha256_text

UNIT_BYTES = 64_000_000
UNIT_FILES = 5_000
COMPRESSION = 4
EXAMPLE_BYTES = 200
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class IngestUnit:
    """Some files of one source, or some lines of one large file.

    Attributes:
        key: Digest of everything that decides what is read from it.
        name: For people: the source, and the first file.
        source: Number of the source in the config.
        n_bytes: Size of the files.
        plan: The file that lists them,
        offset: and where in it.
    """

    key: str
    name: str
    source: int
    n_bytes: int
    plan: Path
    offset: int


def source_files(source: AnySource, root: Path) -> Iterator[SourceFile | SetAside]:
    """The files of one source; see `local_files`, `package_files` and `remote_files`.

    Generated examples count as one file, named like the task.
    """
    if isinstance(source, SyntheticSource):
        return iter([SourceFile(source.synthetic, io.BytesIO, size=source.count * EXAMPLE_BYTES)])
    if isinstance(source, PackageSource):
        return package_files(source)
    if isinstance(source, PathSource):
        return local_files(source, root)
    return remote_files(source, root)


def plan_units(config: IngestConfig, root: Path, plan: Path) -> list[IngestUnit]:
    """Cut all sources into units, in order.

    Args:
        config: The sources.
        root: The folder that local paths are relative to.
        plan: The file to write the lists to.

    Raises:
        CorpusError: A source does not exist or cannot be reached.
    """
    units = []
    with atomic_writer(plan) as file:
        for number, source in enumerate(config.sources):
            settings = {
                "source": source.model_dump(mode="json"),
                "characters": config.max_document_characters,
                "table": table_version(source, root),
            }
            for items in _groups(source, root):
                line = canonical_json([_planned(item) for item in items])
                key = sha256_text(canonical_json({**settings, "items": line, "shard": config.shard_documents}))[:24]
                n_bytes = sum(_span(item) for item in items if isinstance(item, SourceFile))
                first = items[0]
                name = f"{source.name}/{first.name if isinstance(first, SourceFile) else first.file}"
                name += f" and {len(items) - 1:,} more" if len(items) > 1 else ""
                units.append(IngestUnit(key, name, number, n_bytes, plan, file.tell()))
                file.write(f"{line}\n".encode())
    return units


def unit_items(unit: IngestUnit, config: IngestConfig, root: Path) -> list[SourceFile | SetAside]:
    """The files of a unit, ready to be opened, and what was set aside among them when they were listed."""
    with open(unit.plan, "rb") as file:
        file.seek(unit.offset)
        rows = json.loads(file.readline())
    source = config.sources[unit.source]
    return [SetAside(*row) if isinstance(row, list) else _reopened(row, source, root) for row in rows]


@dataclass
class _Group:
    items: list[SourceFile | SetAside] = field(default_factory=list)
    weight: int = 0


def _groups(source: AnySource, root: Path) -> Iterator[list[SourceFile | SetAside]]:
    group = _Group()
    for item in source_files(source, root):
        weight = _weight(item)
        if group.items and (group.weight + weight > UNIT_BYTES or len(group.items) == UNIT_FILES):
            yield group.items
            group = _Group()
        if isinstance(source, PathSource) and isinstance(item, SourceFile) and _has_ranges(item):
            if group.items:
                yield group.items
                group = _Group()
            for part in line_ranges(item):
                yield [part]
            continue
        group.items.append(item)
        group.weight += weight
    if group.items:
        yield group.items


def _weight(item: SourceFile | SetAside) -> int:
    if isinstance(item, SetAside):
        return 0
    packed = is_compressed(item.name) or is_archive(item.name) or ending_of(item.name) == ".parquet"
    return item.size * COMPRESSION if packed else item.size


def _has_ranges(file: SourceFile) -> bool:
    return ending_of(file.name) in LINE_ENDINGS and not is_compressed(file.name) and file.size >= 2 * UNIT_BYTES


def line_ranges(file: SourceFile) -> Iterator[SourceFile]:
    """A large file of lines as pieces of about 64 MB that end where a line ends.

    Costs one pass over the file, so that every piece knows the numbers of its lines.
    """
    start, first_line, n_lines, at = 0, 0, 0, 0
    try:
        with file.open() as stream:
            while block := stream.read(BLOCK_BYTES):
                counted = 0
                while (found := block.find(b"\n", max(counted, start + UNIT_BYTES - at))) >= 0:
                    border = at + found + 1
                    n_lines += block.count(b"\n", counted, found + 1)
                    counted = found + 1
                    if border >= file.size:
                        break
                    yield replace(file, start=start, end=border, first_line=first_line)
                    start, first_line = border, n_lines
                n_lines += block.count(b"\n", counted)
                at += len(block)
    except OSError:
        pass  # its reader will say so
    yield replace(file, start=start, end=None, first_line=first_line)


def _span(file: SourceFile) -> int:
    return (file.size if file.end is None else file.end) - file.start


def _planned(item: SourceFile | SetAside) -> Any:
    if isinstance(item, SetAside):
        return list(astuple(item))
    row: dict[str, Any] = {"name": item.name, "size": item.size, "version": item.version}
    if item.fields:
        row["fields"] = item.fields
    if item.start or item.end is not None:
        row["range"] = [item.start, item.end, item.first_line]
    return row


def _reopened(row: dict[str, Any], source: AnySource, root: Path) -> SourceFile:
    if isinstance(source, SyntheticSource):
        return SourceFile(row["name"], io.BytesIO, size=row["size"])
    if not isinstance(source, PackageSource | PathSource):
        url = row["fields"]["url"]
        return remote_file(source, root, row["name"], Download(url, row["size"], row["version"]))
    opened: Callable[[], BinaryIO]
    if isinstance(source, PackageSource):
        opened = package_opener(source, row["name"])
    else:
        opened = local_opener(source, root, row["name"])
    start, end, first_line = row.get("range", (0, None, 0))
    return SourceFile(
        row["name"],
        opened,
        source.encoding,
        source.text_field,
        size=row["size"],
        version=row["version"],
        start=start,
        end=end,
        first_line=first_line,
    )
