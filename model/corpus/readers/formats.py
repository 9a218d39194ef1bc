"""Which reader reads which ending."""

from __future__ import annotations

from pathlib import PurePosixPath

from model.corpus.readers.code import LANGUAGES, read_code
from model.corpus.readers.compression import ENDINGS, uncompressed_name
from model.corpus.readers.csv_table import read_csv, read_tsv
from model.corpus.readers.documents import read_docx, read_epub, read_odt, read_pdf, read_rtf
from model.corpus.readers.html import read_html
from model.corpus.readers.jsonl import read_jsonl
from model.corpus.readers.mail import read_eml, read_mbox
from model.corpus.readers.notebooks import read_json, read_notebook, read_subtitles
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
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".odt": read_odt,
    ".epub": read_epub,
    ".rtf": read_rtf,
    ".ipynb": read_notebook,
    ".srt": read_subtitles,
    ".vtt": read_subtitles,
    ".json": read_json,
}
HINTS = {
    ".doc": "save it as .docx", ".dot": "save it as .docx", ".pages": "export it as .docx", ".wpd": "save it as .docx",
    ".xls": "save the sheet as .csv", ".xlsx": "save the sheet as .csv", ".ods": "save the sheet as .csv",
    ".ppt": "export it as .pdf", ".pptx": "export it as .pdf", ".odp": "export it as .pdf", ".key": "export it as .pdf",
    ".mobi": "convert it to .epub", ".azw3": "convert it to .epub", ".djvu": "convert it to .pdf with its text layer",
    ".png": "recognise its text first (OCR)", ".jpg": "recognise its text first (OCR)",
    ".jpeg": "recognise its text first (OCR)", ".tif": "recognise its text first (OCR)",
    ".tiff": "recognise its text first (OCR)", ".rar": "pack it as .zip", ".7z": "pack it as .zip",
    ".bz2": "pack it as .gz", ".xz": "pack it as .gz", ".msg": "save it as .eml", ".pst": "export it as .mbox",
}  # fmt: skip
"""What to do with a file that is not read."""
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
    if hint := HINTS.get(ending):
        raise FileRefused("unknown_ending", f"ending {ending!r} is not read: {hint}")
    raise FileRefused(
        "unknown_ending",
        f"ending {ending or 'none'!r}; readable are {', '.join(READERS)}, source code (.py .js .c .rs ...), all but "
        ".parquet also as .gz or .zst, and the archives .zip, .tar, .tar.gz, .tgz, .tar.zst",
    )
