"""Which reader reads which ending."""

from __future__ import annotations

from pathlib import PurePosixPath

from model.corpus.readers.jsonl import read_jsonl
from model.corpus.readers.parquet import read_parquet
from model.corpus.readers.source_file import Reader
from model.corpus.readers.text import read_text
from model.corpus.set_aside import FileRefused

READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def reader_for(name: str) -> Reader:
    """The reader for a file's ending.

    Raises:
        FileRefused: There is none.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in READERS:
        raise FileRefused("unknown_ending", f"ending {ending or 'none'!r}; readable are {', '.join(READERS)}")
    return READERS[ending]
