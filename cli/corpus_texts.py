"""Texts of a user's own: read from any files and folders with a progress bar, written as Parquet or JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.quiet import is_quiet
from cli.user_texts import valid_config

if TYPE_CHECKING:
    from model.corpus.documents import Document
    from model.corpus.sources import IngestConfig

JSON_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
BAR_WIDTH = 40


@dataclass(frozen=True)
class Texts:
    """What a command reads.

    Attributes:
        paths: Files and folders; a folder of our own Parquet documents is read with the ids that it has.
        glob: Files to take inside folders.
        language: Tag of texts that bring none along.
        text_field: Field or column that holds the text.
        encoding: Encoding of text files.
    """

    paths: Sequence[str]
    glob: str = "**/*"
    language: str = "en"
    text_field: str = "text"
    encoding: str = "utf-8"

    @property
    def shown(self) -> str:
        """The paths, for a message."""
        return " ".join(self.paths)

    def documents(self, doing: str = "reading") -> Iterator[Document]:
        """The documents in order, in bounded memory; what cannot be read is told on standard error.

        Raises:
            CorpusError: A path does not exist, or there is no text at all.
        """
        from model.corpus.documents import read_documents
        from model.errors import CorpusError

        n = 0
        with progress(doing) as tell:
            for paths, is_ours in self._groups():
                found = (d for path in paths for d in read_documents(Path(path))) if is_ours else self._read(paths)
                for document in found:
                    n += 1
                    if n % 64 == 0:
                        tell(n, None)
                    yield document
        if not n:
            raise CorpusError(
                f"{self.shown}: no text could be read here; expected files of text with at least one word"
            )

    def config(self, paths: Sequence[str]) -> IngestConfig:
        """The paths as sources of the stage `ingest`.

        Raises:
            ConfigError: An option is wrong.
        """
        from model.corpus.sources import IngestConfig

        options = {
            "glob": self.glob,
            "language": self.language,
            "text_field": self.text_field,
            "encoding": self.encoding,
        }
        sources = tuple({"url" if "://" in path else "path": path, **options} for path in paths)
        return valid_config(IngestConfig, {"sources": sources})

    def _groups(self) -> Iterator[tuple[list[str], bool]]:
        """Neighbouring paths that are read in the same way."""
        group: list[str] = []
        for path in self.paths:
            if is_document_folder(Path(path)):
                if group:
                    yield group, False
                yield [path], True
                group = []
            else:
                group.append(path)
        if group:
            yield group, False

    def _read(self, paths: Sequence[str]) -> Iterator[Document]:
        from model.corpus.reading import read_sources
        from model.corpus.set_aside import Quarantine

        quarantine = Quarantine()
        yield from read_sources(self.config(paths), Path.cwd(), quarantine)
        if quarantine.rows:
            first = quarantine.rows[0]
            n_files, n_records = quarantine.files_set_aside, quarantine.records_set_aside
            print(
                f"set aside: {n_files:,} files, {n_records:,} records (the first: {first.file}: {first.detail})",
                file=sys.stderr,
            )


def documents_of(paths: Sequence[str]) -> Iterator[Document]:
    """The documents of files and folders; `source` is the name of the path. What cannot be read is told on stderr.

    Raises:
        CorpusError: A path does not exist, or nothing in it can be read.
    """
    return Texts(paths).documents()


def read_texts(paths: Sequence[str], most_characters: int | None = None) -> list[str]:
    """The texts of files and folders in memory, up to the document that reaches `most_characters`."""
    texts: list[str] = []
    size = 0
    for document in documents_of(paths):
        texts.append(document.text)
        size += len(document.text)
        if most_characters is not None and size >= most_characters:
            break
    return texts


def is_document_folder(path: Path) -> bool:
    """Whether a folder holds documents as the stages `ingest` and `clean` write them."""
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else []
    if not files:
        return False
    import pyarrow.parquet as pq

    from model.corpus.documents import COLUMNS

    return set(COLUMNS) <= set(pq.read_schema(files[0]).names)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on standard error, if that is a terminal; tell it what is done, and of how many."""
    if is_quiet() or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_target(out: Path | None, force: bool) -> None:
    """Refuse to write over anything, unless told to.

    Raises:
        StorageError: The target exists.
    """
    from model.errors import StorageError

    if out is None or force:
        return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise StorageError(
            f"{out}: exists already, nothing was written; choose another --out or replace it with --force"
        )


def write_documents(documents: Iterable[Document], out: Path) -> int:
    """Write documents to a file of JSON lines (.jsonl, .jsonl.gz, .jsonl.zst) or a folder of Parquet files.

    What stood there is replaced, and only once everything is written.

    Returns:
        The number of documents.
    """
    if out.name.endswith(JSON_ENDINGS):
        return write_json_lines(map(asdict, documents), out)
    from model.corpus.documents import DocumentWriter
    from model.files import finished_folder

    with finished_folder(out) as folder, DocumentWriter(folder) as writer:
        for document in documents:
            writer.write(document)
    return writer.n_documents


def write_json_lines(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Write rows as JSON lines, compressed as the name's ending says; equal rows give equal bytes."""
    import gzip
    import json

    from model.files import atomic_writer

    n = 0
    with atomic_writer(out) as file:
        target: Any = file
        if out.name.endswith(".gz"):
            target = gzip.GzipFile("", "wb", 6, file, mtime=0)
        elif out.name.endswith(".zst"):
            import zstandard

            target = zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)
        for row in rows:
            target.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
            n += 1
        if target is not file:
            target.close()
    return n


def histogram_rows(classes: Sequence[tuple[int, int]]) -> list[dict[str, str | int]]:
    """Classes of lengths with bars, for a terminal."""
    most = max((n for _, n in classes), default=0)
    return [
        {"characters": f"{start:,} - {max(2 * start - 1, 0):,}", "documents": n, "": _bar(n, most)}
        for start, n in classes
    ]


def _bar(n: int, most: int) -> str:
    eighths = round(8 * BAR_WIDTH * n / max(most, 1))
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8].strip() if eighths % 8 else "") or ("▏" if n else "")
