"""JSON lines: one record a line; a bad line is set aside, the others are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile

LONGEST_LINE_BYTES = 64 << 20
SKIPPED_BYTES = 1 << 20


def read_jsonl(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """One record for each line that is a JSON object with text; blank lines are skipped.

    Of a file with `start` and `end`, the lines that begin between them, numbered as in the whole file.
    """
    with file.open() as stream:
        if file.start:
            stream.seek(file.start)
        number, at = file.first_line, file.start
        while (file.end is None or at < file.end) and (line := stream.readline(LONGEST_LINE_BYTES)):
            number += 1
            at += len(line)
            place = f"{number:08d}"
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                del line
                while rest := stream.readline(SKIPPED_BYTES):
                    at += len(rest)
                    if rest.endswith(b"\n"):
                        break
                detail = f"line {number:,}: longer than {LONGEST_LINE_BYTES:,} bytes"
                yield RefusedRecord(place, "long_line", detail)
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield _parse(line, number, place, file.text_field)


class DuplicateKeyError(ValueError):
    """An object has a key twice, so that nobody can tell which value is meant."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some keys and values.

    Raises:
        DuplicateKeyError: A key comes twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateKeyError(f"the key {twice[:60]!r} comes twice")
    return values


def _parse(line: bytes, number: int, place: str, text_field: str) -> Record | RefusedRecord:
    try:
        values = json.loads(line.decode("utf-8"), object_pairs_hook=unique_keys)
    except UnicodeDecodeError as error:
        detail = f"line {number:,}: not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start:,} of the line"
        return RefusedRecord(place, "not_utf8", detail)
    except DuplicateKeyError as error:
        return RefusedRecord(place, "duplicate_key", f"line {number:,}: {error}")
    except (ValueError, RecursionError) as error:
        return RefusedRecord(place, "broken_json", f"line {number:,}: {' '.join(str(error).split())[:200]}")
    if not isinstance(values, dict):
        return RefusedRecord(place, "no_text", f"line {number:,}: expected a JSON object, got {type(values).__name__}")
    return record_of(values, text_field, place, f"line {number:,}")


def record_of(values: dict[str, Any], text_field: str, place: str, where: str) -> Record | RefusedRecord:
    """A record from named values, or why they are none.

    Args:
        values: All fields of one line or row.
        text_field: The one that holds the text.
        place: Part of the id.
        where: The same for people: `line 12`.
    """
    text = values.pop(text_field, None)
    if text is None:
        found = ", ".join(list(values)[:10]) or "none"
        return RefusedRecord(place, "no_text", f"{where}: no {text_field!r}; fields found: {found}")
    if not isinstance(text, str):
        found = type(text).__name__
        return RefusedRecord(place, "no_text", f"{where}: {text_field!r} is of type {found}, expected text")
    if not text.strip():
        return RefusedRecord(place, "empty", f"{where}: {text_field!r} is empty")
    return Record(place, iter([text]), values)
