"""Facts about documents, one row each: what expectations are checked on.

Facts are written beside the documents as these are judged and read again a batch of rows at a time. A batch holds
50,000 documents, a few megabytes; whether an id or a text came before is known across batches, from 16-byte digests.
So checking a corpus takes the same memory whatever its size, but for about 80 bytes a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from model.corpus.deduplicate import DigestSet, text_digest
from model.corpus.documents import Document
from model.corpus.normalize import count_control_characters

if TYPE_CHECKING:
    import pandas as pd

BATCH_DOCUMENTS = 50_000
ROWS_AT_ONCE = 5_000
# ASCII bytes as a blank or a letter, so that words are counted without making them: ten times as fast as `split`.
BLANK_OR_LETTER = bytes(ord(" ") if chr(i).isspace() else ord("a") for i in range(256))
Row = dict[str, Any]


def fact_row(document: Document, split: str) -> Row:
    """What can be said of a document by itself.

    Columns: id, split, source, language, created, characters, bytes, bytes_per_character, lines, words,
    control_characters, replacement_characters (U+FFFD), control_share and replacement_share (per character), sha256
    (its first 16 bytes).
    """
    text = document.text
    encoded = text.encode("utf-8")
    n_bytes = len(encoded)
    control, replaced = count_control_characters(text), text.count("\ufffd")
    return {
        "id": document.id,
        "split": split,
        "source": document.source,
        "language": document.language,
        "created": document.created,
        "characters": len(text),
        "bytes": n_bytes,
        "bytes_per_character": n_bytes / max(len(text), 1),
        "lines": text.count("\n") + 1,
        "words": _words_in(text, encoded),
        "control_characters": control,
        "control_share": control / max(len(text), 1),
        "replacement_characters": replaced,
        "replacement_share": replaced / max(len(text), 1),
        "sha256": text_digest(text).hex(),
    }


def _words_in(text: str, encoded: bytes) -> int:
    """How many words `text.split()` gives."""
    if not text.isascii():
        return len(text.split())
    return (b" " + encoded.translate(BLANK_OR_LETTER)).count(b" a")


class FactsWriter:
    """Writes rows of facts to a Parquet file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[Row] = []
        self._writer: Any = None

    def write(self, row: Row) -> None:
        """Add one row."""
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._rows:
            table = pa.Table.from_pylist(self._rows)
            if self._writer is None:
                self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd", compression_level=1)
            self._writer.write_table(table)
            self._rows = []

    def __enter__(self) -> FactsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()


def stored_facts(paths: Iterable[Path], on_row: Callable[[int], None] = lambda _: None) -> Iterator[pd.DataFrame]:
    """The facts in some files, those that exist, in tables of at most 50,000 rows; see `with_history`."""
    import pyarrow.parquet as pq

    def rows() -> Iterator[Row]:
        for path in paths:
            if path.exists():
                for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False):
                    yield from batch.to_pylist()

    return with_history(rows(), on_row=on_row)


def with_history(
    rows: Iterable[Row], batch_documents: int = BATCH_DOCUMENTS, on_row: Callable[[int], None] = lambda _: None
) -> Iterator[pd.DataFrame]:
    """Tables of facts with two more columns: id_seen_before and text_seen_before, in any row above.

    Args:
        rows: Rows of facts.
        batch_documents: Rows in a table.
        on_row: Told the number of rows done.
    """
    import pandas as pd

    ids, texts = DigestSet(), DigestSet()
    batch: list[Row] = []
    for done, row in enumerate(rows, 1):
        seen = {
            "id_seen_before": not ids.add(text_digest(row["id"])),
            "text_seen_before": not texts.add(bytes.fromhex(row["sha256"])),
        }
        batch.append({**row, **seen})
        on_row(done)
        if len(batch) == batch_documents:
            yield pd.DataFrame(batch)
            batch = []
    if batch:
        yield pd.DataFrame(batch)
