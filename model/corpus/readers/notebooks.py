"""Notebooks, subtitles and JSON documents: text with a little structure around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from model.corpus.readers.jsonl import DuplicateKeyError, record_of, unique_keys
from model.corpus.readers.source_file import Record, RefusedRecord, SourceFile
from model.corpus.set_aside import FileRefused

LARGEST_FILE_BYTES = 256 << 20
TIMES = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{3}\s*-->.*$")
STYLE = re.compile(r"</?[a-zA-Z][^>\n]{0,200}>|\{\\[^}\n]{0,100}\}")


def read_notebook(file: SourceFile) -> Iterator[Record]:
    """A Jupyter notebook's cells in order: text as it is, code between fences; outputs are left out.

    Raises:
        FileRefused: It is no notebook, or has no text.
    """
    content = _json(file)
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        raise FileRefused("damaged", "not a notebook: it holds no list `cells` (notebooks before 2015: convert it)")
    language = str(content.get("metadata", {}).get("kernelspec", {}).get("language") or "")
    parts = []
    for cell in (cell for cell in cells if isinstance(cell, dict)):
        source = cell.get("source", "")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if text.strip():
            parts.append(f"```{language}\n{text}\n```" if cell.get("cell_type") == "code" else text)
    if not parts:
        raise FileRefused("empty", "has no text in it")
    yield Record("", iter(["\n\n".join(parts)]))


def read_subtitles(file: SourceFile) -> Iterator[Record]:
    """What is said in SubRip or WebVTT subtitles: no numbers, times and styles; a line said twice in a row once.

    Raises:
        FileRefused: Not in its encoding, or nothing is said.
    """
    lines: list[str] = []
    block: list[str] = []
    for line in [*_text(file).splitlines(), ""]:
        if line.strip():
            block.append(line)
            continue
        at = next((place for place, one in enumerate(block) if TIMES.match(one)), None)
        said = [STYLE.sub("", one).strip() for one in block[at + 1 :]] if at is not None else []
        lines += [one for one in said if one]
        block = []
    lines = [line for number, line in enumerate(lines) if not number or line != lines[number - 1]]
    if not lines:
        raise FileRefused("empty", "no line of it is said at a time (00:00:01,000 --> 00:00:02,000)")
    yield Record("", iter(["\n".join(lines)]))


def read_json(file: SourceFile) -> Iterator[Record | RefusedRecord]:
    """A JSON document: an array of objects or strings gives one record each, one object one record.

    Raises:
        FileRefused: It is no JSON, larger than 256 MB, or holds neither.
    """
    content = _json(file)
    items = content if isinstance(content, list) else [content]
    for number, item in enumerate(items, 1):
        place = f"{number:08d}" if isinstance(content, list) else ""
        values = {file.text_field: item} if isinstance(item, str) else item
        if isinstance(values, dict):
            yield record_of(dict(values), file.text_field, place, f"item {number:,}")
        else:
            kind = type(item).__name__
            yield RefusedRecord(place, "no_text", f"item {number:,}: expected an object or a text, got {kind}")


def _text(file: SourceFile) -> str:
    with file.open() as stream:
        data = stream.read(LARGEST_FILE_BYTES + 1)
    if len(data) > LARGEST_FILE_BYTES:
        raise FileRefused("too_large", f"more than {LARGEST_FILE_BYTES:,} bytes; make it JSON lines or cut it")
    try:
        return data.decode(file.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        detail = f"not {file.encoding}: byte 0x{data[error.start]:02x} at offset {error.start:,}; say `encoding:`"
        raise FileRefused("not_" + "".join(c for c in file.encoding.lower() if c.isalnum()), detail) from error


def _json(file: SourceFile) -> Any:
    text = _text(file)
    if not text.strip():
        raise FileRefused("empty", "has no text in it")
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except DuplicateKeyError as error:
        raise FileRefused("duplicate_key", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise FileRefused("damaged", f"no JSON: {' '.join(str(error).split())[:200]}") from error
