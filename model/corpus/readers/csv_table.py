"""Tables of text, .csv and .tsv: one record a row, in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from model.corpus.readers.jsonl import record_of
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.readers.text import decode_pieces
from model.corpus.set_aside import FileRefused

LONGEST_FIELD_CHARACTERS = 64 << 20
DELIMITERS = (",", ";", "\t", "|")


def read_csv(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """One record for each row of a table separated by comma, semicolon, tab or bar; see `read_table`."""
    return read_table(file, DELIMITERS)


def read_tsv(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """One record for each row of a table separated by tabs; see `read_table`."""
    return read_table(file, ("\t",))


def read_table(file: SourceFile, delimiters: tuple[str, ...]) -> Iterator[Record | RefusedRecord]:
    """One record for each row below the header; the other columns become its fields. Blank rows are skipped.

    Quoting is that of RFC 4180 (line ends and doubled quotes inside quotes).

    Args:
        file: The file.
        delimiters: The first of them by which the header has the text column is taken.

    Raises:
        FileRefused: No text column (the message names the columns found), no text at all, or a field that does not
            end within 64 M characters.
    """
    before = csv.field_size_limit(LONGEST_FIELD_CHARACTERS)
    try:
        lines = _lines(file)
        first = next(lines, None)
        if first is None or not first.strip():
            raise FileRefused("empty", "has no header row")
        columns, delimiter = _header(first, delimiters, file.text_field)
        rows = csv.reader(lines, delimiter=delimiter)
        number = 0
        while True:
            csv.field_size_limit(LONGEST_FIELD_CHARACTERS)  # one limit for the whole process: others may set it too
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise FileRefused("broken_csv", f"row {number + 1:,}: {error}") from error
            if row is None:
                return
            number += 1
            if row:
                yield _record(row, columns, file.text_field, number)
    finally:
        csv.field_size_limit(before)


def _record(row: list[str], columns: list[str], text_field: str, number: int) -> Record | RefusedRecord:
    place, where = f"{number:08d}", f"row {number:,}"
    if len(row) > len(columns):
        return RefusedRecord(place, "broken_row", f"{where}: {len(row):,} values for {len(columns):,} columns")
    return record_of(dict(zip(columns, row, strict=False)), text_field, place, where)


def _header(line: str, delimiters: tuple[str, ...], text_field: str) -> tuple[list[str], str]:
    found: list[str] = []
    for delimiter in delimiters:
        try:
            columns = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error as error:
            raise FileRefused("broken_csv", f"header: {error}") from error
        columns = [name.strip() for name in columns]
        if text_field in columns:
            return columns, delimiter
        found = max(found, columns, key=len)
    names = ", ".join(name[:60] for name in found[:20]) or "none"
    raise FileRefused("no_text", f"no column {text_field!r}; columns found: {names}")


def _lines(file: SourceFile) -> Iterator[str]:
    """The file's lines with their ends, each of bounded length."""
    held: list[str] = []
    n_held = 0
    for piece in decode_pieces(file):
        first, *others = piece.split("\n")
        held.append(first)
        n_held += len(first)
        if others:
            yield "".join(held) + "\n"
            yield from (f"{line}\n" for line in others[:-1])
            held, n_held = [others[-1]], len(others[-1])
        if n_held > LONGEST_FIELD_CHARACTERS:
            raise FileRefused("long_line", f"a line is longer than {LONGEST_FIELD_CHARACTERS:,} characters")
    if n_held:
        yield "".join(held)
