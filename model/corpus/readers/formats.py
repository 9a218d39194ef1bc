"""Which reader reads which ending."""

from __future__ import annotations

from pathlib import PurePosixPath

from model.corpus.readers.code import LANGUAGES, read_code
from model.corpus.readers.compression import ENDINGS, uncompressed_name
from model.corpus.readers.csv_table import read_csv, read_tsv
from model.corpus.readers.html import read_html
from model.corpus.readers.jsonl import read_jsonl
from model.corpus.readers.mail import read_eml, read_mbox
from model.corpus.readers.parquet import read_parquet
from model.corpus.readers.source_file import Reader
from model.corpus.readers.text import read_text
from model.corpus.set_aside import FileRefused

READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".markdown": read_text,
    ".rst": read_text,
    ".tex": read_text,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".mbox": read_mbox,
    ".eml": read_eml,
}
LINE_ENDINGS = frozenset({".jsonl", ".ndjson"})


def ending_of(name: str) -> str:
    """The ending that says how a file is read: `.jsonl` for `a.jsonl.gz`."""
    return PurePosixPath(uncompressed_name(name)).suffix.lower()


def is_compressed(name: str) -> bool:
    """Whether a file's name says that it is compressed."""
    return PurePosixPath(name).suffix.lower() in ENDINGS


def reader_for(name: str) -> Reader:
    """The reader for a file's ending.

    Raises:
        FileRefused: There is none.
    """
    ending = ending_of(name)
    if ending == ".parquet" and is_compressed(name):
        raise FileRefused("unknown_ending", "a compressed .parquet file, which is compressed inside already; unpack it")
    if ending in READERS:
        return READERS[ending]
    if ending in LANGUAGES:
        return read_code
    raise FileRefused(
        "unknown_ending",
        f"ending {ending or 'none'!r}; readable are {', '.join(READERS)}, source code (.py .js .c .rs ...), all but "
        ".parquet also as .gz or .zst, and the archives .zip, .tar, .tar.gz, .tgz, .tar.zst",
    )
