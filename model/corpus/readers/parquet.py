"""Parquet files: one record a row, one record batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model.corpus.readers.csv_table import refuse_columns_twice
from model.corpus.readers.jsonl import record_of
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

BUFFER_BYTES = 1 << 20


def read_parquet(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """One record for each row; the other columns become its fields, those of raw bytes (pictures) left out.

    Raises:
        FileRefused: Not a Parquet file, damaged, or without the text column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open() as stream:
        try:
            parquet = pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False)
            names = parquet.schema_arrow.names
            refuse_columns_twice(names)
            if file.text_field not in names:
                found = ", ".join(names[:20]) or "none"
                raise FileRefused("no_text", f"no column {file.text_field!r}; columns found: {found}")
            number = 0
            readable = [field.name for field in parquet.schema_arrow if not is_binary(field.type)]
            for batch in parquet.iter_batches(batch_size=64, columns=readable, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield record_of(values, file.text_field, f"{number:08d}", f"row {number:,}")
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise FileRefused("broken_parquet", " ".join(str(error).split())[:200]) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise FileRefused("broken_parquet", " ".join(str(error).split())[:200]) from error


def is_binary(kind: Any) -> bool:
    """Whether an Arrow type holds raw bytes, by itself or inside a list or struct."""
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(is_binary(kind.field(i).type) for i in range(kind.num_fields))
