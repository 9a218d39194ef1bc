"""The items of benchmarks as texts: what would be in training data if the item had leaked."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from model.corpus.contamination.config import BenchmarkFile
from model.corpus.documents import Document
from model.errors import CorpusError

LONGEST_LINE = 64_000_000
ENDINGS = (".jsonl", ".jsonl.gz")
LAYOUTS = (  # the first whose fields are all there; a list of choices with `gold` gives the right one
    ("query", "choices"),
    ("context", "question"),
    ("context", "continuation"),
    ("question", "answer"),
    ("question", "choices"),
    ("prompt", "canonical_solution"),
    ("prompt", "completion"),
    ("instruction", "response"),
    ("sentence_good",),
    ("sentence",),
    ("text",),
    ("prompt",),
    ("question",),
    ("query",),
)


class Item(NamedTuple):
    """One item of a benchmark.

    Attributes:
        benchmark: The benchmark's name.
        id: `<file>:<line>` or a document's id.
        text: Its fields' texts, joined by line feeds.
    """

    benchmark: str
    id: str
    text: str


def benchmark_items(benchmarks: Iterable[BenchmarkFile], root: Path) -> Iterator[Item]:
    """All items of benchmarks, file by file.

    Raises:
        CorpusError: A file is missing or empty, a line is not a JSON object, or the fields are not there.
    """
    for benchmark in benchmarks:
        path = root / benchmark.path
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS))
            if not files:
                raise CorpusError(f"{path}: holds no .jsonl files, expected one for each benchmark")
            for file in files:
                name = file.relative_to(path).as_posix().removesuffix(".gz").removesuffix(".jsonl")
                yield from _file_items(file, f"{benchmark.name or path.name}/{name}", benchmark.fields)
        else:
            name = benchmark.name or path.name.removesuffix(".gz").removesuffix(".jsonl")
            yield from _file_items(path, name, benchmark.fields)


def document_items(documents: Iterable[Document], name: str = "test split") -> Iterator[Item]:
    """Documents as items of a benchmark."""
    for document in documents:
        yield Item(name, document.id, document.text)


def item_text(values: dict[str, Any], fields: tuple[str, ...]) -> str:
    """The text of an item: its fields' strings, joined by line feeds.

    Of a list of answers with the number of the right one (`gold`, `label` or `answer`) only that one is taken, of
    other lists all strings.

    Raises:
        KeyError: A field is missing.
    """
    texts: list[str] = []
    gold = next((values[k] for k in ("gold", "label", "answer") if type(values.get(k)) is int), -1)
    for field in fields:
        value = values[field]
        if isinstance(value, list):
            chosen = [value[gold]] if 0 <= gold < len(value) else value
            texts.extend(text for text in chosen if isinstance(text, str))
        elif isinstance(value, (str, int, float)):
            texts.append(str(value))
    return "\n".join(texts)


def _file_items(path: Path, name: str, fields: tuple[str, ...]) -> Iterator[Item]:
    n = 0
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{where}: not JSON ({error}); expected one JSON object a line") from error
        if not isinstance(values, dict):
            raise CorpusError(f"{where}: got a {type(values).__name__}, expected a JSON object")
        wanted = fields or next((layout for layout in LAYOUTS if all(field in values for field in layout)), ())
        missing = [field for field in wanted if field not in values]
        if not wanted or missing:
            what = f"has no field {missing[0]!r}" if missing else "has fields of no known layout"
            raise CorpusError(
                f"{where}: the item {what}, it has {', '.join(map(repr, list(values)[:20]))}; name some of them in "
                "`fields:` of this benchmark"
            )
        n += 1
        yield Item(name, f"{path.name}:{number}", item_text(values, wanted))
    if not n:
        raise CorpusError(f"{path}: holds no items, expected JSON lines; remove it from contamination.benchmarks")


def _lines(path: Path) -> Iterator[str]:
    """Lines of a plain or gzip file, with a limit to their length."""
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise CorpusError(f"{path}: a line has more than {LONGEST_LINE:,} bytes, expected one item a line")
                yield line.decode("utf-8-sig", "replace")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(f"{path}: cannot be read ({reason}); see contamination.benchmarks") from error
