"""Near-duplicates among any stream of documents; what has to be remembered of them lies in a temporary folder."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model.corpus.deduplicate import exact_first, text_digest
from model.corpus.documents import Document, document_batches
from model.corpus.near_duplicates.clusters import find_clusters
from model.corpus.near_duplicates.config import NearDuplicatesConfig
from model.corpus.near_duplicates.keep import choose_kept, joined_clusters
from model.corpus.near_duplicates.report import DuplicateReport, Note, build_report, excerpt_of
from model.corpus.near_duplicates.shingle_file import ShingleFiles, ShingleWriter
from model.corpus.near_duplicates.shingles import shingles
from model.corpus.near_duplicates.signatures import signature_columns, signatures_of
from model.corpus.near_duplicates.words import characters_of

BATCH_CHARACTERS, BATCH_DOCUMENTS = 1_000_000, 10_000


def find_near_duplicates(
    documents: Iterable[Document],
    config: NearDuplicatesConfig,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    n_clusters: int = 20,
    n_members: int = 10,
) -> DuplicateReport:
    """Find the documents that repeat others exactly or nearly.

    The documents are read once. Some 100 bytes of each stay in memory; signatures, shingles (four bytes a word) and
    what the report shows lie in a temporary folder until it returns.

    Args:
        documents: Any documents, normalized or not; empty ones have no copies.
        config: What counts as a copy and which one stays.
        on_progress: Told the bands of the signatures done, and how many there are, once all documents are read.
        n_clusters: Largest clusters shown in the report.
        n_members: Documents shown of each cluster.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tisslm-near-duplicates-") as temporary,
        closing(_Facts(Path(temporary))) as found,
    ):
        folder = Path(temporary)
        with ShingleWriter(folder) as writer, (folder / "signatures").open("wb") as signature_file:
            for batch in document_batches(documents, BATCH_CHARACTERS, BATCH_DOCUMENTS):
                made = shingles(characters_of([document.text for document in batch]), config.shingle_words)
                signatures_of(made, config).tofile(signature_file)
                if config.verify == "exact":
                    writer.write(made)
                for document in batch:
                    found.add(document)
        found.finish()
        n, columns = len(found.lengths), signature_columns(config)
        signatures = np.memmap(folder / "signatures", "<u4", "c", shape=(n, columns)) if n else _nothing(columns)
        exact_of = exact_first(np.frombuffer(bytes(found.digests), "S16"))
        clusters = find_clusters(
            signatures,
            config,
            shingles_of=ShingleFiles([folder]) if config.verify == "exact" else None,
            sources=np.array(found.sources, np.int64),
            on_progress=on_progress,
        )
        if config.within == "source":
            exact_of = first_of_source(exact_of, np.array(found.sources, np.int64))
        lengths, drop_all = np.array(found.lengths, np.int64), config.copies == "drop_all"
        kept = choose_kept(clusters, exact_of, lengths, found.created, config.keep, drop_all=drop_all)
        return build_report(
            joined_clusters(clusters, exact_of), kept, exact_of, np.array(found.sources, np.int64), found.note,
            signatures, config, n_clusters=n_clusters, n_members=n_members, lists_dropped=True,
        )  # fmt: skip


def first_of_source(exact_of: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """For each document the first with the same text *and* source; see `exact_first`."""
    codes = exact_of * (int(sources.max(initial=0)) + 1) + sources
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


class _Facts:
    """What is remembered of each document; ids and excerpts on disk."""

    def __init__(self, folder: Path) -> None:
        self.lengths, self.sources, self.digests = array("q"), array("q"), bytearray()
        self.created: list[str] = []
        self._numbers: dict[str, int] = {}
        self._offsets = array("q", [0])
        self._path = folder / "notes"
        self._file: BinaryIO = self._path.open("wb")

    def add(self, document: Document) -> None:
        self.lengths.append(len(document.text))
        self.sources.append(self._numbers.setdefault(document.source, len(self._numbers)))
        self.digests += text_digest(document.text)
        self.created.append(document.created)
        note = json.dumps([document.id, document.source, excerpt_of(document.text)]).encode("ascii")
        self._file.write(note)
        self._offsets.append(self._offsets[-1] + len(note))

    def finish(self) -> None:
        self._file.close()
        self._file = self._path.open("rb")

    def close(self) -> None:
        self._file.close()

    def note(self, i: int) -> Note:
        self._file.seek(self._offsets[i])
        return Note(*json.loads(self._file.read(self._offsets[i + 1] - self._offsets[i])))


def _nothing(columns: int) -> np.ndarray:
    return np.empty((0, columns), np.uint32)
