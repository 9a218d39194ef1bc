"""Tables of text, .csv and .tsv: one record a row, in bounded memory."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence

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

    Quoting is that of RFC 4180 (line ends and doubled quotes inside quotes). A row whose quotes break it is set aside
    with its line, and reading goes on at the next line that is a row with a value for every column.

    Args:
        file: The file.
        delimiters: The first of them by which the header has the text column is taken.

    Raises:
        FileRefused: No text column (the message names the columns found), two columns of one name, or no text at all.
    """
    lines = _Lines(_lines(file))
    before = csv.field_size_limit(LONGEST_FIELD_CHARACTERS)
    try:
        first = next(lines, None)
        if first is None or not first.strip():
            raise FileRefused("empty", "has no header row")
        columns, delimiter = _header(first, delimiters, file.text_field)
        number, is_lost = 0, False
        while lines.wait():
            csv.field_size_limit(LONGEST_FIELD_CHARACTERS)  # one limit for the whole process: others may set it too
            line = lines.begin()
            try:
                row, problem = next(csv.reader(lines, delimiter=delimiter, strict=True), []), ""
            except csv.Error as error:
                row, problem = [], _problem(error)
                lines.go_back()
            if not row and not problem:
                continue
            number += 1
            if is_lost and not problem and len(row) != len(columns):
                problem = "what follows a broken row and is none itself"
            is_lost = bool(problem)
            if problem:
                yield RefusedRecord(f"{number:08d}", "broken_row", f"line {line:,}: {problem}")
            else:
                yield _record(row, columns, file.text_field, number, line)
    finally:
        csv.field_size_limit(before)


class _Lines:
    """Lines that can be read again from the one after the beginning of the present row."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        self._number += 1
        return line

    def wait(self) -> bool:
        """Whether there is one more line."""
        if not self._again and (line := next(self._lines, None)) is not None:
            self._again.append(line)
        return bool(self._again)

    def begin(self) -> int:
        """A row begins; its line number."""
        self._row = []
        return self._number + 1

    def go_back(self) -> None:
        """To the line after that which the row began with."""
        self._again.extendleft(reversed(self._row[1:]))
        self._number -= len(self._row) - 1


def _problem(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text or "field larger" in text:
        return "a quote opens a value that never ends"
    return f"its quotes break it: {text}"


def _record(row: list[str], columns: list[str], text_field: str, number: int, line: int) -> Record | RefusedRecord:
    place, where = f"{number:08d}", f"row {number:,} (line {line:,})"
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
            refuse_columns_twice(columns)
            return [name or f"column {number}" for number, name in enumerate(columns, 1)], delimiter
        found = max(found, columns, key=len)
    names = ", ".join(name[:60] for name in found[:20]) or "none"
    raise FileRefused("no_text", f"no column {text_field!r}; columns found: {names}")


def refuse_columns_twice(columns: Sequence[str]) -> None:
    """Refuse a table in which nobody can tell which column a name means; columns without a name are no matter.

    Raises:
        FileRefused: Two columns have one name.
    """
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        places = " and ".join(str(number) for number, name in enumerate(columns, 1) if name == twice)
        raise FileRefused("duplicate_column", f"the columns {places} have one name, {twice[:60]!r}; rename one")


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
