"""Facts about documents, one row each, a batch of rows at a time: what expectations are checked on.

A batch holds 50,000 documents, a few megabytes; whether an id or a text came before is known across batches, from
16-byte digests. So checking a corpus takes the same memory whatever its size, but for about 80 bytes a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.deduplicate import DigestSet, text_digest
from model.corpus.documents import Document, read_documents
from model.corpus.normalize import CONTROL_CHARACTERS

if TYPE_CHECKING:
    import pandas as pd

BATCH_DOCUMENTS = 50_000


def fact_batches(
    folders: Mapping[str, Path],
    batch_documents: int = BATCH_DOCUMENTS,
    on_document: Callable[[int], None] = lambda _: None,
) -> Iterator[pd.DataFrame]:
    """Tables with one row for each document.

    Columns: id, split, source, language, created, characters, bytes, bytes_per_character, lines, words,
    control_characters, replacement_characters (U+FFFD), control_share and replacement_share (per character), sha256
    (its first 16 bytes), id_seen_before, text_seen_before.

    Args:
        folders: Folders of documents by the name of their split.
        batch_documents: Rows in a table.
        on_document: Told the number of documents done.
    """
    import pandas as pd

    ids, texts = DigestSet(), DigestSet()
    rows: list[dict[str, Any]] = []
    done = 0
    for split, folder in folders.items():
        for document in read_documents(folder):
            rows.append(_row(document, split, ids, texts))
            done += 1
            on_document(done)
            if len(rows) == batch_documents:
                yield pd.DataFrame(rows)
                rows = []
    if rows:
        yield pd.DataFrame(rows)


def _row(document: Document, split: str, ids: DigestSet, texts: DigestSet) -> dict[str, Any]:
    text = document.text
    digest, n_bytes = text_digest(text), len(text.encode("utf-8"))
    control, replaced = len(CONTROL_CHARACTERS.findall(text)), text.count("\ufffd")
    return {
        "id": document.id,
        "split": split,
        "source": document.source,
        "language": document.language,
        "created": document.created,
        "characters": len(text),
        "bytes": n_bytes,
        "bytes_per_character": n_bytes / max(len(text), 1),
        "lines": text.count("\n") + 1,
        "words": len(text.split()),
        "control_characters": control,
        "control_share": control / max(len(text), 1),
        "replacement_characters": replaced,
        "replacement_share": replaced / max(len(text), 1),
        "sha256": digest.hex(),
        "id_seen_before": not ids.add(text_digest(document.id)),
        "text_seen_before": not texts.add(digest),
    }
