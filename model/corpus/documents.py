"""Documents on disk: Parquet shards, written and read as a stream of record batches.

Files are named `part-00000.parquet` and so on. The same documents give the same bytes: fixed writer settings, no
time stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from model.errors import IntegrityError

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_CHARACTERS = 64_000_000
ROW_GROUP_CHARACTERS = 4_000_000
ROW_GROUP_DOCUMENTS = 5_000


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it comes from.

    Attributes:
        id: Stable name: `<source>/<file>`, with `#<line or row>` and `#<part>` where a file holds several.
        text: The text, valid Unicode.
        source: Name of its source in `params.yaml`.
        language: Language tag.
        created: Date as the source gives it; empty if unknown.
        metadata: JSON object with whatever else the source says.
    """

    id: str
    text: str
    source: str
    language: str = ""
    created: str = ""
    metadata: str = "{}"


COLUMNS = tuple(field.name for field in fields(Document))
_values = attrgetter(*COLUMNS)


def schema() -> pa.Schema:
    """The Arrow schema of all document files."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in COLUMNS])


class DocumentWriter:
    """Writes documents into Parquet shards in bounded memory; use it as a context manager.

    A row group is written at 4 MB of text or 5,000 documents, a file is closed at 64 MB or `shard_documents`.
    """

    def __init__(self, folder: Path, shard_documents: int = 50_000) -> None:
        self.folder = folder
        self.shard_documents = shard_documents
        self.n_documents = 0
        self._rows: list[Document] = []
        self._row_characters = 0
        self._shard_characters = 0
        self._shard_rows = 0
        self._shards = 0
        self._writer: Any = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, document: Document) -> None:
        """Add one document."""
        self._rows.append(document)
        self._row_characters += len(document.text)
        self._shard_characters += len(document.text)
        self._shard_rows += 1
        self.n_documents += 1
        if self._shard_characters >= SHARD_CHARACTERS or self._shard_rows >= self.shard_documents:
            self._flush()
            self._close_shard()
        elif self._row_characters >= ROW_GROUP_CHARACTERS or len(self._rows) >= ROW_GROUP_DOCUMENTS:
            self._flush()

    def close(self) -> None:
        """Write what is left; a folder without documents gets one empty file, so that it can be opened."""
        if self._rows or not (self._shards or self._writer):
            self._flush()
        self._close_shard()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.folder / f"part-{self._shards:05d}.parquet",
                schema(),
                version="2.6",
                compression="zstd",
                compression_level=3,
                use_dictionary=["source", "language"],
                write_statistics=False,
            )
        columns = zip(*map(_values, self._rows), strict=True) if self._rows else [()] * len(COLUMNS)
        arrays = [pa.array(column, pa.string()) for column in columns]
        self._writer.write_batch(pa.record_batch(arrays, schema=schema()))
        self._rows, self._row_characters = [], 0

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._shards += 1
            self._shard_characters = self._shard_rows = 0

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.close()


def document_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder of documents, in order.

    Raises:
        IntegrityError: There are none.
    """
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise IntegrityError(f"{folder}: holds no part-*.parquet; run the stage that makes it (tisslm run)")
    return files


def count_documents(folder: Path) -> int:
    """Number of documents in a folder, from the files' footers."""
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(path).metadata.num_rows for path in document_files(folder))


def read_documents(folder: Path) -> Iterator[Document]:
    """All documents of a folder in their order, one record batch in memory at a time.

    Raises:
        IntegrityError: There are no files, or one is not a Parquet file of documents.
    """
    for path in document_files(folder):
        yield from read_document_file(path)


def read_document_file(path: Path, row_groups: Sequence[int] | None = None) -> Iterator[Document]:
    """The documents of one file, or of some of its row groups; see `read_documents`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(
                batch_size=64, row_groups=row_groups, columns=list(COLUMNS), use_threads=False
            ):
                yield from map(Document, *(column.to_pylist() for column in batch.columns))
    except (pa.ArrowException, KeyError) as error:
        raise IntegrityError(
            f"{path}: not a Parquet file of documents ({' '.join(str(error).split())[:200]}); rebuild it with "
            "`tisslm run`"
        ) from error


def document_batches(documents: Iterable[Document], characters: int, most: int) -> Iterator[list[Document]]:
    """Documents in lists of about `characters` in all and at most `most` of them."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= characters or len(batch) == most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def read_texts(folder: Path) -> Iterator[str]:
    """Only the texts of a folder of documents; see `read_documents`."""
    for document in read_documents(folder):
        yield document.text
