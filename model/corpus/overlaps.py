"""What training text shares with texts that judge models: reference sets, benchmarks, the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.config import CleanConfig
from model.corpus.documents import Document, document_batches, read_documents
from model.corpus.judging import BATCH_CHARACTERS, BATCH_DOCUMENTS, KEPT, Signer, normalized
from model.corpus.split import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from model.corpus.near_duplicates.shingle_file import ShingleFiles

REFERENCE = "reference"
Table = list[dict[str, Any]]


def in_reference(
    config: CleanConfig,
    root: Path,
    digests: npt.NDArray[np.uint64],
    signatures: npt.NDArray[np.uint32] | None,
    shingles_of: ShingleFiles | None,
    work: Path,
) -> npt.NDArray[np.bool_]:
    """Which documents stand in a reference set too, (n,) bool: word for word or, with signatures, nearly.

    Args:
        config: `deduplicate_against` names the texts, `near_duplicates` says what nearly means.
        root: The folder that local paths are relative to.
        digests: (n, 2) uint64, of the documents.
        signatures: (n, columns) uint32, or None to find equal texts only.
        shingles_of: For exact comparison of near ones.
        work: A folder for temporary files.

    Raises:
        CorpusError: A reference set does not exist or has no documents.
    """
    import numpy as np

    from model.corpus.deduplicate import text_digest
    from model.corpus.near_duplicates.reference import near_reference
    from model.corpus.near_duplicates.shingle_file import ShingleFiles

    folder = work / REFERENCE
    folder.mkdir(exist_ok=True)
    theirs: list[bytes] = []
    with Signer(config, folder) as signer:
        for batch in document_batches(_reference(config, root), BATCH_CHARACTERS, BATCH_DOCUMENTS):
            texts = [document.text for document in batch]
            theirs += map(text_digest, texts)
            signer.add(texts)
    found = np.isin(digests.view("V16").ravel(), np.frombuffer(b"".join(theirs), "V16"))
    if signatures is not None:
        exact = ShingleFiles([signer.shingles]) if shingles_of is not None else None
        near = near_reference(
            signatures,
            np.load(signer.signatures),
            config.similarity,
            shingles_of=shingles_of,
            reference_shingles_of=exact,
        )
        found |= near >= 0
    return found


def _reference(config: CleanConfig, root: Path) -> Iterator[Document]:
    """The reference documents, repaired as the corpus is."""
    from dataclasses import replace

    from model.corpus.normalize import repairs
    from model.corpus.reading import read_sources
    from model.corpus.set_aside import Quarantine
    from model.corpus.sources import IngestConfig
    from model.errors import CorpusError

    wanted, n = repairs(config.normalize), 0
    for document in read_sources(IngestConfig(sources=config.deduplicate_against), root, Quarantine()):
        n += 1
        yield replace(document, text=normalized(document.text, wanted, Counter()))
    if not n:
        names = ", ".join(source.name for source in config.deduplicate_against)
        raise CorpusError(f"clean.deduplicate_against: no document could be read from {names}; correct the paths")


def documents_of(units: Sequence[Path], codes: npt.NDArray[np.uint8], split: str) -> Iterator[Document]:
    """The judged documents that go to a split, in order."""
    place, code = 0, SPLITS.index(split)
    for unit in units:
        for document in read_documents(unit / KEPT):
            if codes[place] == code:
                yield document
            place += 1


def shared_runs(
    config: CleanConfig,
    root: Path,
    units: Sequence[Path],
    codes: npt.NDArray[np.uint8],
    on_progress: Callable[[int], None],
) -> tuple[dict[str, Table], set[str]]:
    """Compare the training documents with benchmarks and with the test split by runs of words.

    Returns:
        Tables for the report, and the ids of the training documents to be removed.

    Raises:
        CorpusError: A benchmark cannot be read.
    """
    from model.corpus.contamination.checking import check_contamination
    from model.corpus.contamination.items import document_items

    wanted = config.contamination
    if not wanted.benchmarks and wanted.test_split == "ignore":
        return {}, set()
    removed: set[str] = set()

    def on_overlap(name: str, holds_item: bool) -> None:
        if holds_item and wanted.remove == "document":
            removed.add(name)

    report = check_contamination(
        documents_of(units, codes, "train"),
        wanted,
        root=root,
        test_items=lambda: document_items(documents_of(units, codes, "test")),
        on_progress=on_progress,
        on_overlap=on_overlap,
    )
    tables = {"Training text in benchmarks and in the test split": report.rows()}
    if report.examples:
        tables["Worst overlaps"] = report.example_rows()
    return tables, removed
