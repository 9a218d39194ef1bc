"""Last pass of cleaning: the documents of one shard go to their splits, and are counted on the way.

Training documents may get augmented variants here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.corpus.cleaning_result import CleaningResult
from model.corpus.config import CleanConfig
from model.corpus.documents import Document, DocumentWriter, document_batches, read_documents
from model.corpus.facts import FactsWriter, fact_row
from model.corpus.judging import BATCH_CHARACTERS, BATCH_DOCUMENTS, DROPPED, KEPT, length_reason, with_metadata
from model.corpus.placing import REASON_OF_CODE
from model.corpus.split import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from model.corpus.augmentation.augmenter import Augmenter
    from model.corpus.augmentation.config import AugmentationConfig

FACTS = "facts.parquet"
CONTAMINATED = "contaminated"


@dataclass(frozen=True)
class ShardToWrite:
    """The judged documents of one file of raw documents.

    Attributes:
        file: Name of that file.
        units: Finished folders of the first pass, in order.
        codes: A .npy file, see `Placement.codes`.
        start: Place of the first document in it.
        config: What to write beside.
    """

    file: str
    units: tuple[Path, ...]
    codes: Path
    start: int
    config: CleanConfig

    @property
    def key(self) -> str:
        """Names the unit among those of one corpus and config."""
        return f"write-{Path(self.file).stem}"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.file


def write_shard(unit: ShardToWrite, folder: Path) -> dict[str, Any]:
    """Write one unit's documents to `folder/SPLIT/part-*.parquet`, a split without documents to none.

    Also `facts.parquet`, one row for each written document, and `dropped/part-*.parquet` if wanted.

    Returns:
        What was kept, dropped and counted in this pass, a `CleaningResult` as JSON.
    """
    import numpy as np

    codes = np.load(unit.codes, mmap_mode="r")[unit.start :]
    result, config = CleaningResult(), unit.config
    with ExitStack() as stack:
        writers: dict[str, DocumentWriter] = {}

        def write(place: str, document: Document) -> None:
            if place not in writers:
                writers[place] = stack.enter_context(DocumentWriter(folder / place))
            writers[place].write(document)

        def drop(document: Document, reason: str) -> None:
            result.drop(document.id, document.text, reason, config.examples_per_reason)
            if config.keep_dropped:
                write(DROPPED, with_metadata(document, dropped=reason))

        facts = stack.enter_context(FactsWriter(folder / FACTS))
        for document, code in _placed(unit, codes):
            if code in REASON_OF_CODE:
                drop(document, REASON_OF_CODE[code])
                continue
            split = SPLITS[code]
            result.kept += 1
            result.kept_characters += len(document.text)
            for written in _with_variants(document, split, config):
                result.augmented += written is not document
                write(split, written)
                facts.write(fact_row(written, split))
                result.statistics.add(written, split)
    return result.to_json()


def _placed(unit: ShardToWrite, codes: npt.NDArray[np.uint8]) -> Iterator[tuple[Document, int]]:
    place = 0
    for judged in unit.units:
        for batch in document_batches(read_documents(judged / KEPT), BATCH_CHARACTERS, BATCH_DOCUMENTS):
            for document in batch:
                yield document, int(codes[place])
                place += 1


def _with_variants(document: Document, split: str, config: CleanConfig) -> Iterator[Document]:
    """The document and, of one that trains, its altered copies, those that are texts of their own and long enough."""
    yield document
    if config.augmentation is None or split != "train":
        return
    augmenter = _augmenter(config.augmentation, config.split_seed)
    seen = {document.text}
    for number, text in enumerate(augmenter.variants(document.id, document.text), 1):
        if text not in seen and not length_reason(text, config):
            seen.add(text)
            variant = replace(document, id=f"{document.id}#aug{number}", text=text)
            yield with_metadata(variant, augmentation=augmenter.names)


@functools.lru_cache(maxsize=2)
def _augmenter(config: AugmentationConfig, seed: int) -> Augmenter:
    from model.corpus.augmentation.augmenter import Augmenter

    return Augmenter(config, seed)
